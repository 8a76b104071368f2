import type { KubernetesObject, V1Deployment } from "@kubernetes/client-node";
import { annotation, label } from "../domain/naming.ts";
import type { RunningSession } from "../domain/ports.ts";
import type { Session } from "../domain/repl.ts";

/** The session that an object is of, from its labels. */
export function sessionOf({ metadata }: KubernetesObject): Session {
  const labels = metadata?.labels ?? {};
  return {
    id: labels[label.sessionId] ?? "",
    replId: labels[label.replId] ?? "",
    userId: labels[label.userId] ?? "",
  };
}

export function createdAtOf({ metadata }: KubernetesObject): string {
  return new Date(metadata?.creationTimestamp ?? 0).toISOString();
}

/** One, or none when it is on its way out. */
export function runningSession(deployment: V1Deployment): RunningSession[] {
  const { metadata, status } = deployment;
  if (metadata?.deletionTimestamp) return [];
  const ending = metadata?.annotations?.[annotation.ending];
  const keysRenewedAt = metadata?.annotations?.[annotation.keysRenewedAt];
  const since = metadata?.annotations?.[annotation.orphanedSince];
  const looks = Number(metadata?.annotations?.[annotation.orphanLooks] ?? 1);
  return [
    {
      ...sessionOf(deployment),
      createdAt: createdAtOf(deployment),
      isReady: (status?.readyReplicas ?? 0) > 0,
      ...(ending === "stopping" || ending === "deleting" ? { ending } : {}),
      ...(keysRenewedAt ? { keysRenewedAt } : {}),
      ...(since ? { orphan: { since, looks } } : {}),
    },
  ];
}
