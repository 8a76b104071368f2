import * as k8s from "@kubernetes/client-node";
import { ReplError } from "../domain/errors.ts";
import { fieldManager } from "../domain/naming.ts";
import type { Session } from "../domain/repl.ts";
import { createdAtOf, sessionOf } from "./session-objects.ts";

/** What is younger may be of a session whose Deployment is about to come. */
const leftoverAfterMs = 60_000;

/** How objects are found and changed, in one namespace. */
export interface ObjectsOfSessions {
  readonly objects: k8s.KubernetesObjectApi;
  /** The object that has this one's kind and name; undefined where there is none. */
  readonly find: (manifest: k8s.KubernetesObject) => Promise<k8s.KubernetesObject | undefined>;
  readonly isRunning: (session: Session) => Promise<boolean>;
  /** Deletes the objects of this one's kind that a session has. */
  readonly clear: (manifest: k8s.KubernetesObject, session: Session) => Promise<unknown>;
}

/**
 * Makes one object of a session so, by compare-and-set: it is created where there is none, and changed only where it is
 * this session's. Objects of REPLs are named after the REPL, so an attempt that is slower than the next session would
 * otherwise take that one's route and keys. What a session without a Deployment has left is replaced. Throws `conflict`
 * where another session runs.
 */
export async function applyOfSession(
  { objects, find, isRunning, clear }: ObjectsOfSessions,
  session: Session,
  manifest: k8s.KubernetesObject,
): Promise<void> {
  if (await create(objects, manifest)) return;
  const existing = await find(manifest);
  const what = `${manifest.kind} of ${session.replId}`;
  if (!existing) throw new ReplError("unavailable", `${what}: it was removed at the same time`);
  const other = sessionOf(existing);
  if (other.id === session.id) {
    const { uid } = existing.metadata ?? {};
    // With its uid, so that a successor of the same name is not changed.
    const body = { ...manifest, metadata: { ...manifest.metadata, ...(uid ? { uid } : {}) } };
    await objects.patch(body, undefined, undefined, fieldManager, true, k8s.PatchStrategy.ServerSideApply);
    return;
  }
  if (manifest.kind === "Deployment" || (await isRunning(other)))
    throw new ReplError("conflict", `${what}: another session of this REPL has begun.`);
  if (Date.now() - Date.parse(createdAtOf(existing)) < leftoverAfterMs)
    throw new ReplError("unavailable", `${what}: another session of this REPL is about to begin, or has just ended.`);
  await clear(manifest, other);
  if (!(await create(objects, manifest)))
    throw new ReplError("unavailable", `${what}: another one was made at the same time`);
}

/** False where an object of that name is there already. */
async function create(objects: k8s.KubernetesObjectApi, manifest: k8s.KubernetesObject): Promise<boolean> {
  try {
    await objects.create(manifest, undefined, undefined, fieldManager);
    return true;
  } catch (error) {
    if (error instanceof k8s.ApiException && error.code === 409) return false;
    throw error;
  }
}
