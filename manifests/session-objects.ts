import type { KubernetesObject, V1Ingress, V1Secret, V1Service } from "@kubernetes/client-node";
import { basePathOf, previewHost, runnerPort } from "../domain/naming.ts";
import type { SyncCredentials } from "../domain/ports.ts";
import { deploymentManifest } from "./deployment.ts";
import { podSelector, sessionLabels } from "./labels.ts";
import type { ClusterSettings, SessionPlan } from "./settings.ts";

/** All objects of a session, in the order in which they are useful: the pod starts while its route is made. */
export function sessionObjects(
  plan: SessionPlan,
  credentials: SyncCredentials,
  settings: ClusterSettings,
): KubernetesObject[] {
  return [
    secretManifest(plan, credentials, settings),
    deploymentManifest(plan, settings),
    serviceManifest(plan, settings),
    ingressManifest(plan, settings),
  ];
}

/** Keys of the object store for the sync containers, and the runner's token, which is all that the user's container sees of it. */
export function secretManifest(
  { session, runnerToken }: Pick<SessionPlan, "session" | "runnerToken">,
  credentials: SyncCredentials,
  settings: ClusterSettings,
): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: session.replId, namespace: settings.namespace, labels: sessionLabels(session) },
    type: "Opaque",
    stringData: {
      accessKey: credentials.accessKey,
      secretKey: credentials.secretKey,
      runnerToken,
      sessionToken: credentials.sessionToken ?? "",
    },
  };
}

/** Routes to the pod from the moment it has an address: who waits for it asks until the runner answers. */
export function serviceManifest({ session }: SessionPlan, settings: ClusterSettings): V1Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: session.replId, namespace: settings.namespace, labels: sessionLabels(session) },
    spec: {
      selector: podSelector(session),
      publishNotReadyAddresses: true,
      ports: [{ name: "http", port: runnerPort, targetPort: runnerPort }],
    },
  };
}

export function ingressManifest({ session, template }: SessionPlan, settings: ClusterSettings): V1Ingress {
  const { previewDomain } = settings;
  const { hostname } = new URL(settings.runnerUrl);
  const isName = hostname !== "localhost" && !/^[\d.]+$|:/.test(hostname);
  const backend = { service: { name: session.replId, port: { number: runnerPort } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: session.replId, namespace: settings.namespace, labels: sessionLabels(session) },
    spec: {
      ingressClassName: settings.ingressClass,
      rules: [
        {
          ...(isName ? { host: hostname } : {}),
          http: { paths: [{ path: basePathOf(session.replId), pathType: "Prefix", backend }] },
        },
        // A rule can name no pattern of hosts, so only the ports that are known have one.
        ...(previewDomain === undefined ? [] : template.ports).map((port) => ({
          host: previewHost(previewDomain ?? "", session.replId, port),
          http: { paths: [{ path: "/", pathType: "Prefix", backend }] },
        })),
      ],
    },
  };
}
