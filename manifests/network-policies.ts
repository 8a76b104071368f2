import type { V1NetworkPolicy, V1NetworkPolicyPeer } from "@kubernetes/client-node";
import { label, runnerPort } from "../domain/naming.ts";
import type { ClusterSettings } from "./settings.ts";

/** Not the Internet: private networks, shared address space, and link-local, where clouds keep their metadata. */
const privateNetworks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"];
const privateNetworks6 = ["fc00::/7", "fe80::/10"];
const dnsPort = 53;

const namespaceNamed = (name: string): V1NetworkPolicyPeer => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
});

/**
 * Who the pods of REPLs may speak with: only the ingress controller reaches them, at the runner's port, and they reach
 * names, the Internet, and of private networks what the settings name. Everything else is denied.
 */
export function networkPolicyManifests(settings: ClusterSettings): V1NetworkPolicy[] {
  return [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "devex-repls", namespace: settings.namespace, labels: { [label.managedBy]: "devex" } },
      spec: {
        podSelector: {},
        policyTypes: ["Ingress", "Egress"],
        ingress: [
          { _from: [namespaceNamed(settings.ingressNamespace)], ports: [{ protocol: "TCP", port: runnerPort }] },
        ],
        egress: [
          {
            to: [namespaceNamed("kube-system"), ...settings.podDns.map((cidr) => ({ ipBlock: { cidr } }))],
            ports: [
              { protocol: "UDP", port: dnsPort },
              { protocol: "TCP", port: dnsPort },
            ],
          },
          {
            to: [
              { ipBlock: { cidr: "0.0.0.0/0", except: privateNetworks } },
              { ipBlock: { cidr: "::/0", except: privateNetworks6 } },
            ],
          },
          ...settings.podEgress.map(({ cidr, port }) => ({
            to: [{ ipBlock: { cidr } }],
            ...(port === undefined ? {} : { ports: [{ protocol: "TCP", port }] }),
          })),
        ],
      },
    },
  ];
}
