import * as k8s from "@kubernetes/client-node";
import { label } from "../domain/naming.ts";
import type { PodNews } from "../domain/ports.ts";
import { withinTime } from "./within-time.ts";
import { isOver, isReady, nameOf, troubleOf } from "./pod-state.ts";

/** A watch can go silent without ending: it is begun again from a list this often. */
const restartEveryMs = 5 * 60_000;
const retryAfterMs = 2000;
const listTimeoutMs = 30_000;

interface Seen {
  readonly isReady: boolean;
  readonly isOver: boolean;
  readonly trouble: string | undefined;
}

/**
 * Follows all pods of REPLs and tells of those that fall into trouble or come out of it. What was so before it began
 * to look is no news.
 */
export async function informOfPods(
  config: k8s.KubeConfig,
  namespace: string,
  signal: AbortSignal,
  onNews: (news: PodNews) => void,
): Promise<void> {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const labelSelector = `${label.name}=devex-repl`;
  const list = () => withinTime(listTimeoutMs, () => core.listNamespacedPod({ namespace, labelSelector }));
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, list, labelSelector);
  const seen = new Map<string, Seen>();
  let isListed = false;

  const look = (pod: k8s.V1Pod) => {
    const uid = pod.metadata?.uid ?? "";
    const before = seen.get(uid);
    const now = { isReady: isReady(pod), isOver: isOver(pod), trouble: troubleOf(pod) };
    seen.set(uid, now);
    const session = sessionOf(pod);
    if (!session || (!before && !isListed)) return;
    const gone = now.isOver && !before?.isOver ? { gone: nameOf(pod) } : {};
    if (now.trouble && now.trouble !== before?.trouble) onNews({ session, trouble: now.trouble, ...gone });
    else if ("gone" in gone) onNews({ session, ...gone });
    else if (now.isReady && !before?.isReady) onNews({ session });
  };
  informer.on("add", look);
  informer.on("update", look);
  informer.on("delete", (pod) => {
    const before = seen.get(pod.metadata?.uid ?? "");
    seen.delete(pod.metadata?.uid ?? "");
    const session = sessionOf(pod);
    const news = before?.trouble ? {} : { trouble: "its container was deleted" };
    if (session) onNews({ session, gone: nameOf(pod), ...news });
  });
  const again = () => void setTimeout(() => !signal.aborted && void informer.start().catch(again), retryAfterMs);
  informer.on("error", again);

  await informer.start().catch(again);
  isListed = true;
  const restart = setInterval(
    () =>
      void informer
        .stop()
        .then(() => informer.start())
        .catch(again),
    restartEveryMs,
  );
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  clearInterval(restart);
  await informer.stop();
}

function sessionOf(pod: k8s.V1Pod) {
  const labels = pod.metadata?.labels ?? {};
  const [id, replId, userId] = [label.sessionId, label.replId, label.userId].map((name) => labels[name]);
  return id && replId && userId ? { id, replId, userId } : undefined;
}
