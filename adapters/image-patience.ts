import type { V1Pod } from "@kubernetes/client-node";
import { imageTroubleOf } from "./pod-state.ts";

/** A registry that is away for a moment is asked again by the node after 10 s, 20 s and 40 s. */
const patienceMs = 60_000;

/**
 * Follows one pod, look by look: says that its image cannot be had once that has been so for a minute. Who finds it so
 * at the first look goes on from when the node took the pod, so that a new attempt of a step does not wait anew.
 */
export function createImagePatience(now: () => number = Date.now) {
  let since: number | undefined;
  let hasLooked = false;
  return (pod: V1Pod): string | undefined => {
    const trouble = imageTroubleOf(pod);
    const taken = pod.status?.startTime;
    if (!trouble) since = undefined;
    else since ??= hasLooked || !taken ? now() : new Date(taken).getTime();
    hasLooked = true;
    return since !== undefined && now() - since >= patienceMs ? trouble : undefined;
  };
}
