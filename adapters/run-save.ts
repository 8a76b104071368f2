import type { V1Pod } from "@kubernetes/client-node";
import { ReplError } from "../domain/errors.ts";
import type { SaveAttempt } from "../domain/ports.ts";
import {
  describePod,
  hopelessContainer,
  isMadeOnly,
  nameOf,
  nextSaveName,
  nodeOf,
  runningSave,
  statusOf,
} from "./pod-state.ts";

/** A container whose image is there starts in a second; a node that does not answer starts none. */
const containerStartMs = 60_000;
/** From made to started takes some milliseconds; a kubelet that ended in between never starts it, also when it is back. */
const madeToStartedMs = 10_000;

/** The pod that is saved, and hands on it. */
export interface SavePlace {
  readonly pod: V1Pod;
  /** Adds a save container of this name. */
  readonly add: (name: string) => Promise<unknown>;
  /** Calls `visit` with the session's pods whenever they change, until it answers or the signal ends the wait. */
  readonly watch: <Answer>(end: AbortSignal, visit: (pods: readonly V1Pod[]) => Answer | undefined) => Promise<Answer>;
}

/**
 * Waits for the end of the save container that an earlier attempt left, or of a new one. Throws `unavailable` when it
 * does not start.
 */
export async function runSave(
  { pod, add, watch }: SavePlace,
  signal: AbortSignal,
  onProgress: (state: string) => void,
  limits = { containerStartMs, madeToStartedMs },
): Promise<SaveAttempt> {
  const podName = nameOf(pod);
  let latest = pod;
  let container = runningSave(pod);
  if (!container) await add((container = nextSaveName(pod)));
  onProgress(`${container} in ${podName}`);

  function stateIn(pods: readonly V1Pod[], name: string) {
    const current = pods.find((candidate) => candidate.metadata?.uid === pod.metadata?.uid);
    if (!current || current.status?.phase === "Failed") throw new ReplError("unavailable", `${podName} is gone`);
    latest = current;
    const status = statusOf(current, name);
    const reason = hopelessContainer(status);
    if (reason) throw new ReplError("unavailable", `${name} cannot start: ${reason}`);
    return status?.state;
  }

  async function startsWithin(name: string, limitMs: number): Promise<boolean> {
    const late = AbortSignal.timeout(limitMs);
    try {
      await watch(AbortSignal.any([signal, late]), (pods) => {
        const state = stateIn(pods, name);
        return state?.running ?? state?.terminated;
      });
      return true;
    } catch (error) {
      if (!late.aborted || signal.aborted) throw error;
      return false;
    }
  }

  if (!(await startsWithin(container, limits.madeToStartedMs)) && isMadeOnly(latest, container)) {
    await add((container = nextSaveName(latest)));
    onProgress(`${container} in ${podName}, because the one before was made and never started`);
  }
  if (!(await startsWithin(container, limits.containerStartMs)))
    throw new ReplError("unavailable", `${container} does not start: ${describePod(latest)} on ${nodeOf(pod)}`);
  const name = container;
  return watch(signal, (pods) => {
    const ended = stateIn(pods, name)?.terminated;
    return ended && { pod: podName, container: name, exitCode: ended.exitCode, message: ended.message ?? "" };
  });
}
