import type { KubernetesObject, V1Deployment, V1EphemeralContainer } from "@kubernetes/client-node";
import { ReplError } from "../../domain/errors.ts";
import { label } from "../../domain/naming.ts";
import type { Cluster } from "../../domain/ports.ts";
import type { Session } from "../../domain/repl.ts";

interface FakePod {
  readonly session: Session;
  readonly isHopeless: boolean;
  attempts: number;
}

/** A cluster in memory: an applied Deployment is a pod at once, and a container ends as `runContainer` says. */
export function createFakeCluster(
  runContainer: (name: string) => { exitCode: number; message: string } = () => ({ exitCode: 0, message: "{}" }),
) {
  const pods = new Map<string, FakePod>();
  const losses = new Map<string, string>();
  const podOf = (session: Session) => {
    const pod = pods.get(session.replId);
    return pod?.session.id === session.id ? pod : undefined;
  };

  const cluster: Cluster<KubernetesObject, V1EphemeralContainer> = {
    async apply(manifests) {
      for (const manifest of manifests) {
        if (manifest.kind !== "Deployment") continue;
        const labels = manifest.metadata?.labels ?? {};
        const session = {
          id: labels[label.sessionId] ?? "",
          replId: labels[label.replId] ?? "",
          userId: labels[label.userId] ?? "",
        };
        const runner = (manifest as V1Deployment).spec?.template.spec?.containers[0];
        pods.set(session.replId, {
          session,
          isHopeless: runner?.imagePullPolicy === "Never" && runner.image === "missing",
          attempts: podOf(session)?.attempts ?? 0,
        });
      }
    },
    async findSession(replId) {
      return pods.get(replId)?.session;
    },
    async listSessions(userId) {
      return [...pods.values()]
        .filter(({ session }) => session.userId === userId)
        .map(({ session, isHopeless }) => ({ ...session, isReady: !isHopeless }));
    },
    async waitForPod(session, signal, onProgress) {
      const pod = podOf(session);
      if (pod?.isHopeless) throw new ReplError("unavailable", "container runner cannot start: ErrImageNeverPull");
      if (pod) return onProgress("ready");
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    },
    async runInPod(session, containerFor, _signal, onProgress) {
      const pod = podOf(session);
      const lost = losses.get(session.id);
      if (lost) return { lost };
      if (!pod || pod.isHopeless) return undefined;
      const { name } = containerFor(`sync-${++pod.attempts}`);
      onProgress(name);
      return { container: name, ...runContainer(name) };
    },
    async remove(session) {
      if (podOf(session)) pods.delete(session.replId);
    },
    async check() {},
  };
  return {
    cluster,
    pods,
    /** The session's pod is gone with all that was in it. */
    lose: ({ id }: Session, reason: string) => void losses.set(id, reason),
  };
}
