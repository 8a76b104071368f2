import type {
  V1NetworkPolicy,
  V1NetworkPolicyIngressRule,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
} from "@kubernetes/client-node";

const deny = "reject with icmp type admin-prohibited";

/** Another namespace whose pods hang on the bridge: their addresses and its policies. */
export interface OtherNamespace {
  readonly addresses: readonly string[];
  readonly policies: readonly V1NetworkPolicy[];
}

/** Where pods hang, and the tables that are ours. */
export interface PolicyPlace {
  readonly table: string;
  readonly bridge: string;
  /** Of all pods. */
  readonly subnet: string;
}

/**
 * NetworkPolicies as rules of nftables, for a node whose pods all hang on one bridge. Pods are of the namespace whose
 * `policies` are given first, unless their address is known to be of another one. Addresses, ports and exceptions are
 * heeded. Peers chosen by labels are pods, and no pod here reaches another. What the node itself sends, the ingress
 * controller among it, is let through, as everywhere in Kubernetes. Throws for a policy for some of the pods only.
 */
export function rulesOf(
  policies: readonly V1NetworkPolicy[],
  { table, bridge, subnet }: PolicyPlace,
  others: readonly OtherNamespace[] = [],
): string {
  const inhabited = others.filter(({ addresses }) => addresses.length > 0);
  const clear = ["ip", "bridge"].flatMap((family) => [`table ${family} ${table}`, `delete table ${family} ${table}`]);
  if (policies.length === 0 && inhabited.every((other) => other.policies.length === 0)) return clear.join("\n");
  const jumps = (side: "saddr" | "daddr", chain: string) =>
    inhabited.map(({ addresses }, index) => `ip ${side} { ${addresses.join(", ")} } goto ${chain}_${index}`);
  return [
    ...clear,
    `table ip ${table} {`,
    ...inhabited.flatMap((other, index) => chainsOf(other.policies, `_${index}`)),
    ...chainsOf(policies, "", { egress: jumps("saddr", "egress"), ingress: jumps("daddr", "ingress") }),
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

/** The chains of one namespace, `before` in front of its rules: what no rule allows is refused where a policy speaks of its direction. */
function chainsOf(
  policies: readonly V1NetworkPolicy[],
  suffix: string,
  before: { readonly egress: readonly string[]; readonly ingress: readonly string[] } = { egress: [], ingress: [] },
): string[] {
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
  const chain = (name: string, rules: readonly string[], isRestricted: boolean) => [
    `  chain ${name}${suffix} {`,
    ...[...rules, isRestricted ? deny : "accept"].map((rule) => `    ${rule}`),
    "  }",
  ];
  return [
    ...chain("egress", [...before.egress, ...egress], outgoing.length > 0),
    ...chain("ingress", [...before.ingress, ...ingress], incoming.length > 0),
  ];
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
