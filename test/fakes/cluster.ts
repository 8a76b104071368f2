import type { KubernetesObject, V1Deployment, V1EphemeralContainer, V1Pod } from "@kubernetes/client-node";
import { findWork } from "../../adapters/find-work.ts";
import { ReplError } from "../../domain/errors.ts";
import { label } from "../../domain/naming.ts";
import type { Cluster, RunningSession, SessionNote } from "../../domain/ports.ts";
import type { Session } from "../../domain/repl.ts";
import { podThatIs, type PodState } from "./pods.ts";

const sessionsInPage = 2;

interface FakePod {
  readonly session: Session;
  /** Changes when another pod takes its place. */
  name: string;
  readonly isHopeless: boolean;
  createdAt: string;
  note: SessionNote;
}

/** A note of null takes away what was noted. */
function without({ orphan, ending, ...note }: SessionNote): Partial<RunningSession> {
  return { ...note, ...(orphan ? { orphan } : {}), ...(ending ? { ending } : {}) };
}

type Ended = { readonly exitCode: number; readonly message: string };

/** What happens in the pods of a fake cluster. */
export interface FakePodPrograms {
  /** In the pod of this name; `sync-1` and so on is the container's, and `command` what it is told to do. */
  readonly save: (name: string, session: Session, pod: string, command?: string) => Ended | Promise<Ended>;
  /** Fills the workspace before the pod is ready. */
  readonly restore: (session: Session, pod: string) => Promise<void>;
  /** Hears that a pod is no more, with all that was in it. */
  readonly onGone: (pod: string) => void;
}

/** A cluster in memory: an applied Deployment is a pod at once, and a container ends as its program says. */
export function createFakeCluster({
  save = () => ({ exitCode: 0, message: "{}" }),
  restore = async () => {},
  onGone = () => {},
}: Partial<FakePodPrograms> = {}) {
  const pods = new Map<string, FakePod>();
  const left: (Session & { createdAt: string })[] = [];
  const runningSession = ({ session, isHopeless, createdAt, note }: FakePod): RunningSession => ({
    ...session,
    createdAt,
    isReady: !isHopeless,
    ...without(note),
  });
  /** How many pods each session has had: one that is made again has another name, and an empty workspace. */
  const made = new Map<string, number>();
  const nextName = ({ id }: Session): string => {
    const number = (made.get(id) ?? 0) + 1;
    made.set(id, number);
    return number === 1 ? id : `${id}-${number}`;
  };
  /** How many save containers each pod has had. */
  const saves = new Map<string, number>();
  const shown = new Map<string, readonly V1Pod[]>();
  /** A session's first pod has the session's id for a name, unless a test shows others. */
  const podsOf = (session: Session): readonly V1Pod[] => {
    const pod = podOf(session);
    return shown.get(session.id) ?? (pod ? [podThatIs(pod.isHopeless ? "starting" : "running", pod.name)] : []);
  };
  const podOf = (session: Session) => {
    const pod = pods.get(session.replId);
    return pod?.session.id === session.id ? pod : undefined;
  };

  const cluster: Cluster<KubernetesObject, V1EphemeralContainer> = {
    async applySession(session, manifests) {
      const other = pods.get(session.replId);
      if (other && other.session.id !== session.id)
        throw new ReplError("conflict", "another session of this REPL has begun");
      await cluster.apply(manifests);
    },
    async apply(manifests) {
      for (const manifest of manifests) {
        if (manifest.kind !== "Deployment") continue;
        const labels = manifest.metadata?.labels ?? {};
        const session = {
          id: labels[label.sessionId] ?? "",
          replId: labels[label.replId] ?? "",
          userId: labels[label.userId] ?? "",
        };
        const before = podOf(session);
        const runner = (manifest as V1Deployment).spec?.template.spec?.containers[0];
        pods.set(session.replId, {
          session,
          name: before?.name ?? nextName(session),
          isHopeless: runner?.imagePullPolicy === "Never" && runner.image === "missing",
          createdAt: before?.createdAt ?? new Date().toISOString(),
          note: before?.note ?? {},
        });
      }
    },
    async findSession(replId) {
      return pods.get(replId)?.session;
    },
    async listSessions(userId) {
      return [...pods.values()].filter(({ session }) => session.userId === userId).map(runningSession);
    },
    async pageOfSessions(cursor = "0") {
      const all = [...pods.values()].map(runningSession);
      const end = Number(cursor) + sessionsInPage;
      return { sessions: all.slice(Number(cursor), end), ...(end < all.length ? { next: String(end) } : {}) };
    },
    async remains() {
      return [...left];
    },
    async note(session, note) {
      const pod = podOf(session);
      if (pod) pod.note = { ...pod.note, ...note };
    },
    async watchSessions(signal) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
    async waitForPod(session, signal, onProgress) {
      const pod = podOf(session);
      if (pod?.isHopeless) throw new ReplError("unavailable", "container runner cannot start: ErrImageNeverPull");
      if (pod) {
        await restore(session, pod.name);
        return onProgress("ready");
      }
      signal.throwIfAborted();
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    },
    async runInPod(session, containerFor, _signal, onProgress, mayHoldWork) {
      const found = findWork(podsOf(session), mayHoldWork);
      if ("nothing" in found) return found;
      const pod = found.pod.metadata?.name ?? "";
      const attempts = (saves.get(pod) ?? 0) + 1;
      saves.set(pod, attempts);
      const { name, args } = containerFor(`sync-${attempts}`);
      onProgress(name);
      return { pod, container: name, ...(await save(name, session, pod, args?.[0])) };
    },
    async remove(session) {
      const pod = podOf(session);
      if (pod) {
        pods.delete(session.replId);
        onGone(pod.name);
      }
      shown.delete(session.id);
      left.splice(0, left.length, ...left.filter(({ id }) => id !== session.id));
    },
    waitUntilGone: async (session) => podOf(session) === undefined,
    async check() {},
  };
  return {
    cluster,
    pods,
    nextName,
    /** Objects of sessions without a Deployment. */
    left,
    /** From now on the session has these pods, by their names; "gone" is none. */
    show: ({ id }: Session, states: Readonly<Record<string, PodState | "gone">>) =>
      void shown.set(
        id,
        Object.entries(states).flatMap(([name, state]) => (state === "gone" ? [] : [podThatIs(state, name)])),
      ),
  };
}
