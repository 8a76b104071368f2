import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";
import { failureReported } from "../domain/save.ts";

/** Reasons with which a waiting container will not start by itself. */
export const hopeless: ReadonlySet<string> = new Set([
  "ErrImageNeverPull",
  "InvalidImageName",
  "CreateContainerConfigError",
  "RunContainerError",
  "CreateContainerError",
  "StartError",
]);
/** The node goes on asking for the image by itself: a registry may be away for a moment. */
export const pullsFail: ReadonlySet<string> = new Set(["ErrImagePull", "ImagePullBackOff"]);
/** A restore that failed this often fails for good: kubelet's back-off would hide the reason for minutes. */
const maximumRestoreFailures = 2;

/** Ends of containers that the node could not start. */
const neverRan = new Set(["StartError", "ContainerCannotRun"]);

/** The session's pod, leaving out those on their way out. */
export function livePod(pods: readonly V1Pod[]): V1Pod | undefined {
  return pods.find((pod) => !pod.metadata?.deletionTimestamp && !isOver(pod));
}

/** Why a pod failed, in words. */
export function failureOf(pod: V1Pod): string {
  const { reason = "it failed", message = "" } = pod.status ?? {};
  return `${nameOf(pod)} on ${nodeOf(pod)}: ${[reason, message].filter(Boolean).join(", ")}`;
}

/**
 * What has gone wrong with a pod while it ran, in words for its owner: it failed or is being removed, or its node
 * does not answer, or its programs took more memory than it has. Undefined while all is well.
 */
export function troubleOf(pod: V1Pod): string | undefined {
  if (pod.metadata?.deletionTimestamp) return "its container was deleted";
  const { phase, reason, message, conditions, containerStatuses } = pod.status ?? {};
  if (phase === "Failed")
    return `its container was lost (${[reason, message].filter(Boolean).join(": ") || "it failed"})`;
  const ready = conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True" && ready?.reason === "NodeNotReady") return `${nodeOf(pod)} does not answer`;
  const runner = containerStatuses?.find(({ name }) => name === "runner");
  const ended = runner?.state?.terminated ?? runner?.lastState?.terminated;
  if (!ended || isReady(pod)) return undefined;
  return ended.reason === "OOMKilled"
    ? "its programs took more memory than it has; they were ended and it starts again, its files are all there"
    : `its runner ended (exit code ${ended.exitCode}) and starts again; its files are all there`;
}

export function nodeOf(pod: V1Pod): string {
  return `node ${pod.spec?.nodeName ?? "unknown"}`;
}

export function nameOf(pod: V1Pod): string {
  return pod.metadata?.name ?? "the pod";
}

/** True while the node waits before it starts a container once more; its sandbox is there. */
export function isInBackOff(pod: V1Pod): boolean {
  return statusesOf(pod).some(({ state }) => state?.waiting?.reason === "CrashLoopBackOff");
}

export function isRunning(pod: V1Pod): boolean {
  return statusesOf(pod).some(({ state }) => state?.running);
}

/** True once a container of the pod has run: before that the workspace is an empty folder. */
export function hasRun(pod: V1Pod): boolean {
  return statusesOf(pod).some(({ state, lastState }) =>
    [state, lastState].some(
      (life) => life?.running || (life?.terminated && !neverRan.has(life.terminated.reason ?? "")),
    ),
  );
}

/** No container of it runs any more or will run again. */
export function isOver({ status }: V1Pod): boolean {
  return status?.phase === "Failed" || status?.phase === "Succeeded";
}

function statusesOf({ status }: V1Pod): readonly V1ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

export function isReady(pod: V1Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false
  );
}

/** True while the runner runs and has not been found ready yet. */
export function isStartedUnready(pod: V1Pod): boolean {
  return (
    !isReady(pod) &&
    (pod.status?.containerStatuses?.some(({ name, state }) => name === "runner" && state?.running) ?? false)
  );
}

/** Which container waits with one of these reasons, in words. */
function waitingFor(reasons: ReadonlySet<string>, pod: V1Pod): string | undefined {
  const found = statusesOf(pod).find(({ state }) => reasons.has(state?.waiting?.reason ?? ""));
  return found && `container ${found.name} cannot start: ${waitingWords(found)}`;
}

/** Why a container waits: its reason, and what the node says of it. */
export function waitingWords({ state }: V1ContainerStatus): string {
  const { reason = "", message } = state?.waiting ?? {};
  return message ? `${reason} (${message})` : reason;
}

/** Which image cannot be pulled now. */
export function imageTroubleOf(pod: V1Pod): string | undefined {
  return waitingFor(pullsFail, pod);
}

/** Why this pod can never become ready; undefined while it still may. */
export function hopelessReason(pod: V1Pod): string | undefined {
  const waiting = waitingFor(hopeless, pod);
  if (waiting) return waiting;
  const restore = restoreStatus(pod);
  if (restore && restore.restartCount >= maximumRestoreFailures)
    return `the workspace cannot be restored: ${lastWords(restore)}`;
  return undefined;
}

/** Where a pod stands, in a few words for an operator. */
export function describePod(pod: V1Pod | undefined): string {
  if (!pod) return "no pod yet";
  const unscheduled = pod.status?.conditions?.find(
    (condition) => condition.type === "PodScheduled" && condition.status === "False",
  );
  if (unscheduled) return `not scheduled: ${unscheduled.message ?? unscheduled.reason ?? ""}`;
  const withoutImage = statusesOf(pod).find(({ state }) => pullsFail.has(state?.waiting?.reason ?? ""));
  if (withoutImage) return `${withoutImage.name} waits: ${waitingWords(withoutImage)}`;
  const restore = restoreStatus(pod);
  if (!restore?.state?.running) {
    const failed = restore?.lastState?.terminated ? `, after it failed: ${lastWords(restore)}` : "";
    return `restore waits: ${restore?.state?.waiting?.reason ?? "not started"}${failed}`;
  }
  const runner = pod.status?.containerStatuses?.find(({ name }) => name === "runner");
  if (runner?.state?.waiting?.reason) return `runner waits: ${runner.state.waiting.reason}`;
  return isReady(pod) ? "ready" : "runner starts";
}

function restoreStatus(pod: V1Pod): V1ContainerStatus | undefined {
  return pod.status?.initContainerStatuses?.find(({ name }) => name === "restore");
}

function lastWords(status: V1ContainerStatus): string {
  const ended = status.state?.terminated ?? status.lastState?.terminated;
  return ended?.message ? failureReported(ended.message) : `exit code ${ended?.exitCode ?? "unknown"}`;
}
