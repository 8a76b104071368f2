import { setTimeout as delay } from "node:timers/promises";
import type { V1Pod } from "@kubernetes/client-node";
import { ReplError } from "../domain/errors.ts";
import type { SaveAttempt } from "../domain/ports.ts";
import { lastFailedTry } from "../domain/save.ts";
import { describePod, nameOf, nodeOf } from "./pod-state.ts";
import {
  endOfNewest,
  hopelessContainer,
  isMadeOnly,
  nextSaveAt,
  nextSaveName,
  runningSave,
  statusOf,
  type WantedContainer,
} from "./save-containers.ts";

/** Where nothing is wrong a save has ended before the first look at its log. */
const standardLimits = {
  /** A container whose image is there starts in a second; a node that does not answer starts none. */
  containerStartMs: 60_000,
  /** From made to started takes some milliseconds; a kubelet that ended in between never starts it, also when it is back. */
  madeToStartedMs: 10_000,
  logAfterMs: 3000,
  logEveryMs: 5000,
};

/** The pod that is saved, and hands on it. */
export interface SavePlace {
  readonly pod: V1Pod;
  readonly wanted: WantedContainer;
  /** Adds a save container of this name. */
  readonly add: (name: string) => Promise<unknown>;
  /** Calls `visit` with the session's pods whenever they change, until it answers or the signal ends the wait. */
  readonly watch: <Answer>(end: AbortSignal, visit: (pods: readonly V1Pod[]) => Answer | undefined) => Promise<Answer>;
  /** The last lines that a container has written. */
  readonly readLog: (name: string) => Promise<string>;
}

/**
 * Waits for the end of the save container that an earlier attempt left, or of a new one. Throws `unavailable` when it
 * does not start, when it says that it has failed once more (it goes on trying, and the next attempt finds it), and
 * when so many have ended without a save that the next one has to wait.
 */
export async function runSave(
  { pod, wanted, add, watch, readLog }: SavePlace,
  signal: AbortSignal,
  onProgress: (state: string) => void,
  limits = standardLimits,
): Promise<SaveAttempt> {
  const podName = nameOf(pod);
  let latest = pod;
  let container = runningSave(pod, wanted);
  const isNew = !container;
  if (!container) container = await addNext();
  onProgress(`${container} in ${podName}`);

  async function addNext(): Promise<string> {
    const due = nextSaveAt(latest, wanted);
    if (due.getTime() > Date.now()) {
      const words = `${endOfNewest(latest)}. The next save container is added to ${podName} at ${due.toISOString()}`;
      throw new ReplError("unavailable", words);
    }
    const name = nextSaveName(latest);
    await add(name);
    return name;
  }

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
      if (signal.aborted || error !== late.reason) throw error;
      return false;
    }
  }

  /** Throws when the container says that a try has failed which came after this one began to look. */
  async function failsAgain(name: string, end: AbortSignal): Promise<never> {
    let known = isNew ? 0 : undefined;
    for (let pauseMs = limits.logAfterMs; ; pauseMs = limits.logEveryMs) {
      await delay(pauseMs, undefined, { signal: end });
      // Where it cannot be read, the container's end is waited for.
      const failed = lastFailedTry(await readLog(name).catch(() => ""));
      if (failed && known !== undefined && failed.try > known)
        throw new ReplError(
          "unavailable",
          `${failed.reason} (${name} in ${podName} goes on trying; ${failed.try} have failed)`,
        );
      known ??= failed?.try ?? 0;
    }
  }

  if (!(await startsWithin(container, limits.madeToStartedMs)) && isMadeOnly(latest, container)) {
    container = await addNext();
    onProgress(`${container} in ${podName}, because the one before was made and never started`);
  }
  if (!(await startsWithin(container, limits.containerStartMs))) {
    const why = statusOf(latest, container)?.state?.waiting?.reason ?? describePod(latest);
    throw new ReplError("unavailable", `${container} does not start: ${why} on ${nodeOf(pod)}`);
  }
  const name = container;
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const ending = watch(end, (pods) => {
    const ended = stateIn(pods, name)?.terminated;
    return ended && { pod: podName, container: name, exitCode: ended.exitCode, message: ended.message ?? "" };
  });
  const failing = failsAgain(name, end);
  for (const one of [ending, failing]) one.catch(() => {});
  try {
    return await Promise.race([ending, failing]);
  } finally {
    over.abort();
  }
}
