import { setTimeout as delay } from "node:timers/promises";
import * as k8s from "@kubernetes/client-node";
import { withinTime } from "./within-time.ts";

const standardLimits = {
  /** A watch can go silent without ending; a fresh list after this long finds what it missed. */
  relistAfterMs: 60_000,
  listTimeoutMs: 15_000,
  /** Lists that fail for so long end the wait with what the API server says: whoever waits begins again, and tells of it. */
  listPatienceMs: 15_000,
  /** An API server that has too much to do, or a proxy that ends watches at once, must not be asked ever more. */
  firstPauseMs: 100,
  longestPauseMs: 10_000,
  /** A watch that lasted so long says that all is well. */
  lastedMs: 5000,
};

/**
 * Lists the pods a selector names, then watches them, until `visit` gives an answer for the pods as they
 * are. A watch that ends or goes silent is begun again from a list, and so is a list that fails, after pauses that grow
 * while nothing lasts. One last list is looked at before the signal's end is taken as the verdict.
 */
export async function watchPods<Answer>(
  config: k8s.KubeConfig,
  namespace: string,
  labelSelector: string,
  signal: AbortSignal,
  visit: (pods: readonly k8s.V1Pod[]) => Answer | undefined,
  limits = standardLimits,
): Promise<Answer> {
  const api = config.makeApiClient(k8s.CoreV1Api);
  let failingSince: number | undefined;
  let pauseMs = 0;

  async function list(): Promise<k8s.V1PodList | undefined> {
    try {
      const call = () => api.listNamespacedPod({ namespace, labelSelector });
      const pods = await withinTime(limits.listTimeoutMs, call);
      failingSince = undefined;
      return pods;
    } catch (error) {
      failingSince ??= performance.now();
      if (signal.aborted || performance.now() - failingSince > limits.listPatienceMs) throw error;
      return undefined;
    }
  }

  for (;;) {
    const pods = await list();
    const begun = performance.now();
    if (pods) {
      const first = visit(pods.items);
      if (first !== undefined) return first;
      signal.throwIfAborted();
      const answer = await watchFrom(config, namespace, labelSelector, pods, signal, visit, limits.relistAfterMs);
      if (answer !== undefined) return answer;
    }
    const hasLasted = performance.now() - begun > limits.lastedMs;
    pauseMs = hasLasted ? 0 : Math.min(Math.max(pauseMs * 2, limits.firstPauseMs), limits.longestPauseMs);
    // Not all of a worker's waits at the same moment.
    const jitter = 0.5 + Math.random() / 2;
    if (pauseMs > 0) await delay(pauseMs * jitter, undefined, { signal }).catch(() => {});
  }
}

/** Undefined when the watch ends, or the signal ends it, before `visit` answers. */
function watchFrom<Answer>(
  config: k8s.KubeConfig,
  namespace: string,
  labelSelector: string,
  list: k8s.V1PodList,
  signal: AbortSignal,
  visit: (pods: readonly k8s.V1Pod[]) => Answer | undefined,
  timeoutMs: number,
): Promise<Answer | undefined> {
  const pods = new Map(list.items.map((pod) => [pod.metadata?.uid ?? "", pod]));
  return new Promise<Answer | undefined>((resolve, reject) => {
    let controller: AbortController | undefined;
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      controller?.abort();
      settle();
    };
    const stop = () => end(() => resolve(undefined));
    const timer = setTimeout(stop, timeoutMs);
    signal.addEventListener("abort", stop);
    const onEvent = (phase: string, pod: k8s.V1Pod) => {
      if (ended || !pod.metadata?.uid) return;
      if (phase === "DELETED") pods.delete(pod.metadata.uid);
      else pods.set(pod.metadata.uid, pod);
      try {
        const found = visit([...pods.values()]);
        if (found !== undefined) end(() => resolve(found));
      } catch (error) {
        end(() => reject(error instanceof Error ? error : new Error(String(error))));
      }
    };
    const query = { labelSelector, resourceVersion: list.metadata?.resourceVersion };
    new k8s.Watch(config).watch(`/api/v1/namespaces/${namespace}/pods`, query, onEvent, stop).then(
      (made) => {
        controller = made;
        if (ended) made.abort();
      },
      () => stop(),
    );
  });
}
