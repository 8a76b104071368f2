import * as k8s from "@kubernetes/client-node";

/** A watch can go silent without ending; a fresh list after this long finds what it missed. */
const relistAfterMs = 60_000;

/**
 * Lists the pods a selector names, then watches them, until `visit` gives an answer for the pods as they
 * are. A watch that ends or goes silent is begun again from a list, and one last list is looked at before
 * the signal's end is taken as the verdict.
 */
export async function watchPods<Answer>(
  config: k8s.KubeConfig,
  namespace: string,
  labelSelector: string,
  signal: AbortSignal,
  visit: (pods: readonly k8s.V1Pod[]) => Answer | undefined,
): Promise<Answer> {
  const api = config.makeApiClient(k8s.CoreV1Api);
  const watch = new k8s.Watch(config);
  for (;;) {
    const list = await api.listNamespacedPod({ namespace, labelSelector });
    const pods = new Map(list.items.map((pod) => [pod.metadata?.uid ?? "", pod]));
    const first = visit([...pods.values()]);
    if (first !== undefined) return first;
    signal.throwIfAborted();
    const answer = await new Promise<Answer | undefined>((resolve, reject) => {
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
      const timer = setTimeout(stop, relistAfterMs);
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
      watch.watch(`/api/v1/namespaces/${namespace}/pods`, query, onEvent, stop).then(
        (made) => {
          controller = made;
          if (ended) made.abort();
        },
        () => stop(),
      );
    });
    if (answer !== undefined) return answer;
  }
}
