import type { V1ContainerState, V1Pod } from "@kubernetes/client-node";

/** Pods of a session, as a cluster shows them in each state that they can be in. */

const running: V1ContainerState = { running: { startedAt: new Date("2026-01-01T00:00:00Z") } };
const waiting = (reason: string): V1ContainerState => ({ waiting: { reason } });
const ended = (reason: string): V1ContainerState => ({ terminated: { exitCode: 255, reason } });

interface Shape {
  readonly phase: string;
  /** Absent where the node has said nothing of the containers. */
  readonly now?: V1ContainerState;
  readonly before?: V1ContainerState;
  readonly isDeleted?: boolean;
  readonly reason?: string;
}

const shapes = {
  "not scheduled": { phase: "Pending" },
  starting: { phase: "Pending", now: waiting("ContainerCreating") },
  "without a start": { phase: "Running", now: waiting("CrashLoopBackOff"), before: ended("StartError") },
  running: { phase: "Running", now: running },
  "in back-off": { phase: "Running", now: waiting("CrashLoopBackOff"), before: ended("OOMKilled") },
  "on a node that rebooted": { phase: "Running", now: waiting("ContainerCreating"), before: ended("Unknown") },
  ended: { phase: "Running", now: ended("Completed") },
  "ending before its start": { phase: "Pending", now: waiting("ContainerCreating"), isDeleted: true },
  ending: { phase: "Running", now: running, isDeleted: true },
  "ending in back-off": { phase: "Running", now: waiting("CrashLoopBackOff"), before: ended("Error"), isDeleted: true },
  evicted: { phase: "Failed", now: ended("Error"), reason: "Evicted" },
  finished: { phase: "Succeeded", now: ended("Completed"), isDeleted: true },
  refused: { phase: "Failed", reason: "OutOfcpu" },
} as const satisfies Record<string, Shape>;

export type PodState = keyof typeof shapes;
export const podStates = Object.keys(shapes) as PodState[];

export function podThatIs(state: PodState, name: string): V1Pod {
  const { phase, now, before, isDeleted, reason }: Shape = shapes[state];
  const status = (container: string) => ({
    name: container,
    image: "",
    imageID: "",
    ready: Boolean(now?.running),
    restartCount: before ? 1 : 0,
    ...(now ? { state: now } : {}),
    ...(before ? { lastState: before } : {}),
  });
  const deleted = { deletionTimestamp: new Date("2026-01-01T00:00:30Z"), deletionGracePeriodSeconds: 30 };
  return {
    metadata: { name, uid: `uid-of-${name}`, ...(isDeleted ? deleted : {}) },
    spec: { containers: [], nodeName: "n1" },
    status: {
      phase,
      startTime: new Date("2026-01-01T00:00:00Z"),
      ...(reason ? { reason, message: `the node says ${reason}` } : {}),
      ...(now ? { initContainerStatuses: [status("restore")], containerStatuses: [status("runner")] } : {}),
    },
  };
}
