import type { V1Pod } from "@kubernetes/client-node";
import type { NothingSaved } from "../domain/ports.ts";
import {
  describePod,
  failureOf,
  hasRun,
  isInBackOff,
  isOver,
  isRunning,
  livePod,
  nameOf,
  nodeOf,
} from "./pod-state.ts";

/**
 * Which pod of a session is to be saved, or why none can be. A pod that may hold work decides, whatever others there
 * are: a pod that takes its place has nothing newer than the newest save.
 */
export function findWork(
  pods: readonly V1Pod[],
  mayHoldWork: ((pod: string) => boolean) | undefined,
): { readonly pod: V1Pod } | NothingSaved {
  // Whoever is named has run, also where its status does not say so yet.
  const holders = pods.filter((pod) => !isOver(pod) && (mayHoldWork ? mayHoldWork(nameOf(pod)) : hasRun(pod)));
  const ending = holders.find(({ metadata }) => metadata?.deletionTimestamp);
  if (ending) return { nothing: "ending", pod: nameOf(ending), detail: wordsOfEnding(ending) };
  // In back-off the node starts what is added to a pod, also where its first container fails for good.
  const still = holders.find((pod) => !isRunning(pod) && !isInBackOff(pod));
  if (still) return { nothing: "between lives", pod: nameOf(still), detail: wordsOfStanding(still) };

  const running = holders[0] ?? livePod(pods.filter(isRunning));
  if (running) return { pod: running };
  const failed = pods.find((pod) => isOver(pod) && (hasRun(pod) || mayHoldWork?.(nameOf(pod))));
  if (failed) return { nothing: "gone", pod: nameOf(failed), detail: failureOf(failed) };
  const live = livePod(pods);
  if (live) return { nothing: "never filled", pod: nameOf(live), detail: `no container of ${nameOf(live)} has run` };
  return { nothing: "gone", detail: "the session has no pod" };
}

function wordsOfEnding(pod: V1Pod): string {
  const [name, node] = [nameOf(pod), nodeOf(pod)];
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata ?? {};
  // It says when the pod must have ended.
  const since = new Date(new Date(deletionTimestamp ?? 0).getTime() - deletionGracePeriodSeconds * 1000);
  return (
    `${name} on ${node} has been ending since ${since.toISOString()} and may be making its last checkpoint. ` +
    `If ${node} is dead, delete its Node object, or the pod (kubectl delete pod ${name} --force --grace-period=0): ` +
    `the close then goes on and says what was lost`
  );
}

function wordsOfStanding(pod: V1Pod): string {
  const why = describePod(pod);
  return `no container of ${nameOf(pod)} on ${nodeOf(pod)} runs now (${why}), and its files are there; the node starts it again`;
}
