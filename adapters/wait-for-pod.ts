import type { V1Pod } from "@kubernetes/client-node";
import { ReplError } from "../domain/errors.ts";
import { createImagePatience } from "./image-patience.ts";
import { describePod, hopelessReason, isReady, isStartedUnready, livePod, nameOf } from "./pod-state.ts";

/**
 * The kubelet asks a container that has just started whether it is ready, and sometimes asks before it has noted
 * that it runs; it asks again a second later, or when its pod changes. Ready follows within 10 ms where it did not.
 */
const readinessDueMs = 40;
/** A pod that can be made is there within a second. */
const refusalLookMs = 3000;

/** Hands on the session's pod. */
export interface StartPlace {
  /** Calls `visit` with the session's pods whenever they change, until it answers. */
  readonly watch: (visit: (pods: readonly V1Pod[]) => true | undefined) => Promise<true>;
  /** Changes the pod, so that the kubelet looks at it again. */
  readonly remind: (pod: string) => Promise<unknown>;
  /** Why the cluster makes no pod, if it refuses to. */
  readonly refusal: () => Promise<string | undefined>;
}

/** Waits until the pod is Ready, and tells of what it waits for. Throws `unavailable` when it can never be. */
export async function waitForPod(
  { watch, remind, refusal }: StartPlace,
  onProgress: (state: string) => void,
): Promise<void> {
  const noPod = describePod(undefined);
  let last = noPod;
  let reminder: NodeJS.Timeout | undefined;
  const isWithoutImage = createImagePatience();
  // A pod that the cluster refuses to make is nowhere to be watched.
  const refused = setInterval(() => {
    if (last !== noPod) return;
    refusal().then(
      (reason) => void (reason !== undefined && last === noPod && onProgress(`no pod: ${reason}`)),
      () => {},
    );
  }, refusalLookMs);
  try {
    await watch((pods) => {
      const pod = livePod(pods);
      if (pod && isStartedUnready(pod))
        reminder ??= setTimeout(() => void remind(nameOf(pod)).catch(() => {}), readinessDueMs);
      const state = describePod(pod);
      if (state !== last) onProgress((last = state));
      const reason = pod && (hopelessReason(pod) ?? isWithoutImage(pod));
      if (reason) throw new ReplError("unavailable", reason);
      return pod && isReady(pod) ? true : undefined;
    });
  } finally {
    clearTimeout(reminder);
    clearInterval(refused);
  }
}
