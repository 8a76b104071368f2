import { describe, expect, it } from "vitest";
import { networkPolicyManifests } from "../../../manifests/network-policies.ts";
import { rulesOf } from "../../../tools/stack/policy-rules.ts";
import { testSettings } from "../../fakes/records.ts";

const place = { table: "test_policy", bridge: "dvx-test", subnet: "10.213.9.0/24" };
const chain = (rules: string, name: string) =>
  (rules.split(`  chain ${name} {\n`)[1]?.split("\n  }")[0] ?? "").split("\n").map((line) => line.trim());

describe("network policies", () => {
  const [policy] = networkPolicyManifests(testSettings);

  it("deny by default, both ways, for every pod of the namespace", () => {
    expect(policy?.spec).toMatchObject({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    expect(policy?.spec?.ingress).toEqual([
      {
        _from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "traefik" } } }],
        ports: [{ protocol: "TCP", port: 8081 }],
      },
    ]);
  });

  it("open the Internet, but no private network that the settings do not name", () => {
    const blocks = policy?.spec?.egress?.flatMap(({ to, ports }) =>
      (to ?? []).flatMap(({ ipBlock }) => (ipBlock ? [{ ...ipBlock, ports }] : [])),
    );
    expect(blocks?.find(({ cidr }) => cidr === "0.0.0.0/0")?.except).toEqual(
      expect.arrayContaining(["10.0.0.0/8", "169.254.0.0/16"]),
    );
    expect(blocks?.filter(({ except }) => !except)).toEqual([
      {
        cidr: "169.254.20.10/32",
        ports: [
          { protocol: "UDP", port: 53 },
          { protocol: "TCP", port: 53 },
        ],
      },
      { cidr: "10.0.0.9/32", ports: [{ protocol: "TCP", port: 9000 }] },
    ]);
  });

  it("become rules of the local stack's node", () => {
    const rules = rulesOf(policy ? [policy] : [], place);
    expect(chain(rules, "egress")).toEqual([
      "ip daddr 169.254.20.10/32 udp dport 53 accept",
      "ip daddr 169.254.20.10/32 tcp dport 53 accept",
      "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16 } accept",
      "ip daddr 10.0.0.9/32 tcp dport 9000 accept",
      "reject with icmp type admin-prohibited",
    ]);
    expect(chain(rules, "ingress")).toEqual(["reject with icmp type admin-prohibited"]);
  });

  it("hold pods of another namespace to that one's policies", () => {
    const other = {
      addresses: ["10.213.9.7", "10.213.9.8"],
      policies: [{ spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"], egress: [{}] } }],
    };
    const rules = rulesOf(policy ? [policy] : [], place, [other]);
    expect(chain(rules, "egress")[0]).toBe("ip saddr { 10.213.9.7, 10.213.9.8 } goto egress_0");
    expect(chain(rules, "ingress")[0]).toBe("ip daddr { 10.213.9.7, 10.213.9.8 } goto ingress_0");
    expect(chain(rules, "egress_0")).toEqual(["ip daddr 0.0.0.0/0 accept", "reject with icmp type admin-prohibited"]);
    expect(chain(rules, "ingress_0")).toEqual(["reject with icmp type admin-prohibited"]);
    expect(rulesOf(policy ? [policy] : [], place, [{ addresses: [], policies: other.policies }])).toBe(
      rulesOf(policy ? [policy] : [], place),
    );
  });

  it("let everything through where there are none, and are never heeded by half", () => {
    expect(rulesOf([], place)).not.toContain("chain");
    const forSome = { ...policy, spec: { ...policy?.spec, podSelector: { matchLabels: { a: "b" } } } };
    expect(() => rulesOf([forSome], place)).toThrow("only policies for all pods");
  });
});
