import type { V1ContainerStatus, V1EphemeralContainer, V1Pod } from "@kubernetes/client-node";
import { failureReported } from "../domain/save.ts";
import { hopeless, pullsFail, waitingWords } from "./pod-state.ts";

/** Save containers of a pod: `sync-1`, `sync-2` and so on. One can be added, never changed or removed. */

/** The node has no image for it yet; it goes on asking for one by itself. */
const waitsForImage = new Set([...pullsFail, "ErrImageNeverPull"]);

/** So many come at once: what ended them may have been a moment's trouble. */
const withoutPause = 3;
const longestPauseMs = 30 * 60_000;

/** What a save container is now. */
export type WantedContainer = Pick<V1EphemeralContainer, "image" | "args">;

/** Names are used once: the next one after the newest. */
export function nextSaveName(pod: V1Pod): string {
  return `sync-${numberOf(newest(pod)) + 1}`;
}

/**
 * The save container of an earlier attempt that may still end well; undefined when there is none. Those before the
 * newest were given up. One that waits for an image is kept, unless another image is wanted now; one that does other
 * work, a rescue and no save, is nobody's but its own.
 */
export function runningSave(pod: V1Pod, wanted: WantedContainer): string | undefined {
  const container = newest(pod);
  if (!container || String(container.args ?? []) !== String(wanted.args ?? [])) return undefined;
  const state = statusOf(pod, container.name)?.state;
  if (state?.terminated) return undefined;
  const waiting = state?.waiting?.reason ?? "";
  const isKept = waitsForImage.has(waiting) ? container.image === wanted.image : !hopeless.has(waiting);
  return isKept ? container.name : undefined;
}

/**
 * When the next one may be added, by what the pod knows of those before: each stays in the pod for good, so a day of
 * failures must leave tens of them, not thousands. Whoever takes a close back waits for it, and does so once.
 */
export function nextSaveAt(pod: V1Pod, wanted: WantedContainer): Date {
  const count = savesOf(pod).length;
  if (count < withoutPause || String(wanted.args) === "reopen") return new Date(0);
  const pauseMs = Math.min(1000 * 2 ** (count - withoutPause + 1), longestPauseMs);
  return new Date(lastChangeOf(pod) + pauseMs);
}

/** How the newest one ended, or why it does not run, in words. */
export function endOfNewest(pod: V1Pod): string {
  const container = newest(pod);
  const state = container && statusOf(pod, container.name)?.state;
  if (!state?.terminated) return `${container?.name}: ${state?.waiting?.reason ?? "it did not start"}`;
  const { exitCode, reason, message = "" } = state.terminated;
  const why = reason === "OOMKilled" ? "it took more memory than the pod has" : failureReported(message);
  return `${container?.name} ended with exit code ${exitCode}: ${why}`;
}

/** Whether the node has made the container and not started it. */
export function isMadeOnly(pod: V1Pod, container: string): boolean {
  const status = statusOf(pod, container);
  return Boolean(status?.containerID) && !status?.state?.running && !status?.state?.terminated;
}

export function statusOf(pod: V1Pod, container: string): V1ContainerStatus | undefined {
  return pod.status?.ephemeralContainerStatuses?.find(({ name }) => name === container);
}

export function hopelessContainer(status: V1ContainerStatus | undefined): string | undefined {
  const reason = status?.state?.waiting?.reason ?? "";
  return status && (hopeless.has(reason) || pullsFail.has(reason)) ? waitingWords(status) : undefined;
}

function savesOf(pod: V1Pod): readonly V1EphemeralContainer[] {
  return (pod.spec?.ephemeralContainers ?? []).filter((container) => numberOf(container) > 0);
}

function newest(pod: V1Pod): V1EphemeralContainer | undefined {
  return savesOf(pod).reduce<V1EphemeralContainer | undefined>(
    (last, container) => (numberOf(container) > numberOf(last) ? container : last),
    undefined,
  );
}

function numberOf(container: Pick<V1EphemeralContainer, "name"> | undefined): number {
  return Number(/^sync-(\d+)$/.exec(container?.name ?? "")?.[1] ?? 0);
}

/** When one was added last, which the API server notes, or ended last. */
function lastChangeOf(pod: V1Pod): number {
  const ends = savesOf(pod).map(({ name }) => statusOf(pod, name)?.state?.terminated?.finishedAt);
  const adds = (pod.metadata?.managedFields ?? [])
    .filter(({ subresource }) => subresource === "ephemeralcontainers")
    .map(({ time }) => time);
  return Math.max(0, ...[...ends, ...adds].map((time) => (time ? new Date(time).getTime() : 0)));
}
