import type {
  V1NetworkPolicy,
  V1NetworkPolicyIngressRule,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
} from "@kubernetes/client-node";

/** Where pods hang, and the tables that are ours. */
export interface PolicyPlace {
  readonly table: string;
  readonly bridge: string;
  /** Of all pods. */
  readonly subnet: string;
}

/**
 * NetworkPolicies of one namespace as rules of nftables, for a node whose pods all hang on one bridge and are all of
 * that namespace. Addresses, ports and exceptions are heeded. Peers chosen by labels are pods: of other namespaces
 * there are none here, and pods of this one never reach each other. What the node itself sends, the ingress controller
 * among it, is let through, as everywhere in Kubernetes. Throws for a policy for some of the pods only.
 */
export function rulesOf(policies: readonly V1NetworkPolicy[], { table, bridge, subnet }: PolicyPlace): string {
  const clear = ["ip", "bridge"].flatMap((family) => [`table ${family} ${table}`, `delete table ${family} ${table}`]);
  if (policies.length === 0) return clear.join("\n");
  for (const { metadata, spec } of policies)
    if (Object.keys(spec?.podSelector?.matchLabels ?? {}).length > 0 || spec?.podSelector?.matchExpressions?.length)
      throw new Error(`NetworkPolicy ${metadata?.name}: only policies for all pods of the namespace are enforced here`);
  const isFor = (type: string) => policies.filter(({ spec }) => spec?.policyTypes?.includes(type));
  const [incoming, outgoing] = [isFor("Ingress"), isFor("Egress")];
  const egress = outgoing
    .flatMap(({ spec }) => spec?.egress ?? [])
    .flatMap(({ to, ports }) => allow("daddr", to, ports));
  const ingress = incoming
    .flatMap(({ spec }) => spec?.ingress ?? [])
    .flatMap((rule) => allow("saddr", sourcesOf(rule), rule.ports));
  const deny = "reject with icmp type admin-prohibited";
  return [
    ...clear,
    `table ip ${table} {`,
    "  chain egress {",
    ...[...egress, outgoing.length > 0 ? deny : "accept"].map((rule) => `    ${rule}`),
    "  }",
    "  chain ingress {",
    ...[...ingress, incoming.length > 0 ? deny : "accept"].map((rule) => `    ${rule}`),
    "  }",
    "  chain input {",
    "    type filter hook input priority filter - 5;",
    `    iifname "${bridge}" ct state established,related accept`,
    `    iifname "${bridge}" jump egress`,
    "  }",
    "  chain forward {",
    "    type filter hook forward priority filter - 5;",
    "    ct state established,related accept",
    `    iifname "${bridge}" oifname "${bridge}" ${deny}`,
    `    iifname "${bridge}" jump egress`,
    `    oifname "${bridge}" jump ingress`,
    "  }",
    "}",
    // Frames from pod to pod that the bridge passes on without asking the tables above.
    `table bridge ${table} {`,
    "  chain forward {",
    "    type filter hook forward priority 0;",
    `    ip saddr ${subnet} ip daddr ${subnet} drop`,
    "  }",
    "}",
  ].join("\n");
}

/** The client library names the field another way when it lists than when it watches. */
function sourcesOf(rule: V1NetworkPolicyIngressRule): readonly V1NetworkPolicyPeer[] | undefined {
  return rule._from ?? (rule as { readonly from?: readonly V1NetworkPolicyPeer[] }).from;
}

function allow(
  side: "saddr" | "daddr",
  peers: readonly V1NetworkPolicyPeer[] | undefined,
  ports: readonly V1NetworkPolicyPort[] | undefined,
): string[] {
  const everywhere: readonly V1NetworkPolicyPeer[] = [{ ipBlock: { cidr: "0.0.0.0/0" } }];
  const blocks = (peers && peers.length > 0 ? peers : everywhere).flatMap(({ ipBlock }) => ipBlock ?? []);
  return blocks
    .filter(({ cidr }) => !cidr.includes(":"))
    .flatMap(({ cidr, except = [] }) => {
      const address = [
        `ip ${side} ${cidr}`,
        ...(except.length > 0 ? [`ip ${side} != { ${except.join(", ")} }`] : []),
      ].join(" ");
      if (!ports || ports.length === 0) return [`${address} accept`];
      return ports.map(({ protocol = "TCP", port, endPort }) => {
        const name = protocol.toLowerCase();
        const where =
          port === undefined ? `meta l4proto ${name}` : `${name} dport ${port}${endPort ? `-${endPort}` : ""}`;
        return `${address} ${where} accept`;
      });
    });
}
