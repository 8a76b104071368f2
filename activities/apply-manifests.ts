import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";
import { holderOf, isSameHolder } from "../domain/holder.ts";
import { joined } from "../domain/losses.ts";
import type { ReplRecord } from "../domain/repl.ts";
import { sessionObjects } from "../manifests/session-objects.ts";
import type { RemoveResourcesInput, StartInput } from "./inputs.ts";
import { currentRun } from "./lease.ts";
import type { Ports } from "./ports.ts";

/** Makes the session's Secret, Deployment, Service and Ingress so. Throws `conflict` when another session's are there. May be repeated. */
export function createApplyManifests({ cluster, credentials, runnerTokenFor, settings }: Ports) {
  return async ({ repl, session, template, ticketKey }: StartInput): Promise<void> => {
    const [running, keys] = await Promise.all([cluster.findSession(repl.id), credentials.issue(repl)]);
    // Applying over another session would replace its pod, and the work in it.
    if (running && running.id !== session.id)
      throw new ReplError("conflict", "Another session of this REPL is running.");
    const plan = { repl, session, template, ticketKey, runnerToken: runnerTokenFor(session) };
    await cluster.applySession(session, sessionObjects(plan, keys, settings));
  };
}

/** A pod ends in two seconds. Of one whose node is lost nobody hears any more. */
const longestEndMs = 30_000;

/**
 * Ends a session: it is the writer no more, so that no late attempt brings it to life again, and then its objects are
 * removed, and no other's. An undo leaves alone what its owner has been let into, and what an open has filled, into which
 * an earlier ticket leads: there may be work in it that no save has. The reconciler says again that it runs, or closes
 * it. Nothing is removed and the answer is `stale` where the files have had another holder, or another save, since the
 * one that the caller names. Idempotent.
 */
export function createRemoveResources({ cluster, registry }: Ports) {
  return async ({
    session,
    untilGone,
    isUndo,
    isNew,
    isFence,
    after,
  }: RemoveResourcesInput): Promise<"stale" | undefined> => {
    const { id, userId, replId } = session;
    const mayHoldWork = ({ lastOpenedSession, restored }: ReplRecord) =>
      lastOpenedSession === id || (!isNew && restored?.sessionId === id);
    const isOver = ({ sessionId, endedSession }: ReplRecord) => sessionId !== id || endedSession === id;
    const isLetIn = (record: ReplRecord) => isUndo === true && mayHoldWork(record) && !isOver(record);
    // Another session that may still save is left alone.
    const mayFence = ({ sessionId, endedSession }: ReplRecord) =>
      sessionId === undefined || sessionId === id || sessionId === endedSession;
    const isStale = (record: ReplRecord) =>
      after !== undefined &&
      !isOver(record) &&
      ((record.lastSave?.generation ?? 0) !== after.generation ||
        !isSameHolder(after.holder, holderOf(record, session)));
    const stays = (record: ReplRecord) => isLetIn(record) || isStale(record);
    const record = await registry
      .update(userId, replId, (now) => {
        // As a writer that has ended: an attempt that is about to become the writer finds another one than it has seen.
        if (isFence && mayFence(now)) return { ...now, sessionId: id, endedSession: id, failedRun: currentRun() };
        return isOver(now) || stays(now) ? now : ended(now, id, after);
      })
      .catch(ignoreMissing);
    if (record && stays(record)) return isStale(record) ? "stale" : undefined;
    await cluster.remove(session);
    if (!untilGone) return undefined;
    const { cancellationSignal } = Context.current();
    await cluster.waitUntilGone(session, AbortSignal.any([cancellationSignal, AbortSignal.timeout(longestEndMs)]));
    return undefined;
  };
}

/** What is lost stays in the record: who did not hear of it when the session was closed still can. */
function ended(now: ReplRecord, sessionId: string, after: RemoveResourcesInput["after"]): ReplRecord {
  if (!after) return { ...now, endedSession: sessionId };
  const { lastEnd, untold: _, ...record } = now;
  if (!after.lost) return { ...record, endedSession: sessionId };
  const before = lastEnd && `Before that: ${lastEnd.lost}`;
  return { ...record, endedSession: sessionId, lastEnd: { sessionId, lost: joined([after.lost, before]) ?? "" } };
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof ReplError && error.code === "not_found") return undefined;
  throw error;
}
