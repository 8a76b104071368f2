import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as k8s from "@kubernetes/client-node";

/** What Kubernetes alone needs: the floors that our own times stand beside. */

const restricted = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  runAsUser: 1000,
  seccompProfile: { type: "RuntimeDefault" },
};

/**
 * After a container became ready the kubelet looks at its pod once a second for some seconds more, and lets
 * changes wait for that; people stay longer. The rest is spread over that second.
 */
export const settledMs = 3000;

export interface FloorOptions {
  /** Gives the pod an emptyDir, as every workspace is one. */
  readonly withVolume?: boolean;
  /** How long the ephemeral container runs; a program that does anything is not gone at once. */
  readonly ephemeralSeconds?: number;
}

export interface FloorTimes {
  readonly podMs: number;
  readonly ephemeralMs: number;
}

export function createFloors(environment: Readonly<Record<string, string>>) {
  const config = new k8s.KubeConfig();
  config.loadFromFile(environment["KUBECONFIG"] ?? "");
  const core = config.makeApiClient(k8s.CoreV1Api);
  const watch = new k8s.Watch(config);
  const namespace = environment["REPL_NAMESPACE"] ?? "";
  const image = environment["SYNC_IMAGE"] ?? "";

  /** Resolves with the time at which the pod first looks as wanted, seen by watch. */
  async function seen(name: string, fits: (pod: k8s.V1Pod) => boolean): Promise<() => Promise<number>> {
    const found = Promise.withResolvers<number>();
    const onEvent = (_phase: string, pod: k8s.V1Pod) => {
      if (fits(pod)) found.resolve(performance.now());
    };
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const controller = await watch.watch(path, { fieldSelector: `metadata.name=${name}` }, onEvent, () => {});
    return async () => {
      const at = await found.promise;
      controller.abort();
      return at;
    };
  }

  /** A pod without init container, created and watched to Ready; then an ephemeral container in it, added and watched to its end. */
  return async function measure({ withVolume = false, ephemeralSeconds = 0 }: FloorOptions = {}): Promise<FloorTimes> {
    const name = `floor-${randomUUID().slice(0, 8)}`;
    const volume = withVolume ? { volumes: [{ name: "v", emptyDir: {} }] } : {};
    const mounts = withVolume ? { volumeMounts: [{ name: "v", mountPath: "/workspaces" }] } : {};
    const body: k8s.V1Pod = {
      metadata: { name },
      spec: {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 0,
        ...volume,
        containers: [{ name: "main", image, command: ["sleep", "600"], securityContext: restricted, ...mounts }],
      },
    };
    const isReady = (pod: k8s.V1Pod) =>
      pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    const ready = await seen(name, isReady);
    const started = performance.now();
    await core.createNamespacedPod({ namespace, body });
    const podMs = (await ready()) - started;

    const ended = await seen(
      name,
      (pod) => pod.status?.ephemeralContainerStatuses?.some(({ state }) => state?.terminated) ?? false,
    );
    await delay(settledMs + Math.random() * 1000);
    const added = performance.now();
    const command = ephemeralSeconds > 0 ? ["sleep", String(ephemeralSeconds)] : ["true"];
    const patch = { spec: { ephemeralContainers: [{ name: "extra", image, command, securityContext: restricted }] } };
    const strategic = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.StrategicMergePatch);
    await core.patchNamespacedPodEphemeralcontainers({ name, namespace, body: patch }, strategic);
    const ephemeralMs = (await ended()) - added;
    await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
    return { podMs, ephemeralMs };
  };
}
