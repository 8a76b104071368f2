import { Context } from "@temporalio/activity";
import { pagesOfSessions } from "../domain/all-sessions.ts";
import { messageOf } from "../domain/errors.ts";
import type { ReplId, Session } from "../domain/repl.ts";
import { isWriter } from "../domain/session-review.ts";
import type { EndOfRepl, OrphanInput, ReconcileInput, RemainsReview } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { withdrawEnded } from "./publish-session.ts";

/** What has no Deployment now may be about to get one. */
const graceMs = 10 * 60_000;
/** A REPL that the registry does not have yet may be a copy that takes its time (workflows/activities.ts). */
const longestCopyMs = 150 * 60_000;
/** To see whether there are pods. */
const lookMs = 200;

/**
 * Finds what is left over on any side: deletions that were interrupted, which are to go on; objects of sessions
 * without a Deployment, which are removed, and look-ups of sessions that do not run, whose places in the quota are
 * freed, both only when they are older than ten minutes. A dry run changes nothing. May be repeated.
 */
export function createReviewRemains(ports: Ports) {
  const { registry, cluster, directory } = ports;
  return async ({ userId, isDryRun }: ReconcileInput): Promise<RemainsReview> => {
    const context = Context.current();
    const findings: string[] = [];
    const ends: EndOfRepl[] = [];
    const orphans: OrphanInput[] = [];
    const isChosen = (session: { readonly userId: string }) => userId === undefined || session.userId === userId;
    const isOld = (since: string) => Date.now() - Date.parse(since) > graceMs;
    const attempt = async (finding: string, mend: () => Promise<void>) => {
      findings.push(finding);
      context.heartbeat();
      if (!isDryRun) await mend().catch((error: unknown) => findings.push(`${finding}: ${messageOf(error)}`));
    };
    for (const deletion of await registry.deletions()) {
      const { replId, owner, createdAt } = deletion;
      if (!isChosen({ userId: owner.id })) continue;
      const record = await registry.read(owner.id, replId);
      // Noted late, by an attempt that was slower than the deletion and the create of another REPL of this id. A release
      // that knew no such notes named no time.
      if (record && createdAt && record.createdAt !== createdAt) {
        await attempt(`${replId}: a note of an earlier deletion`, () => registry.endDeletion(owner.id, replId));
        continue;
      }
      const reason = "its deletion was interrupted";
      findings.push(`${replId}: delete, ${reason}`);
      if (!isDryRun) ends.push({ workflow: "delete", replId, owner, reason, ...(createdAt ? { createdAt } : {}) });
    }
    for (const left of await cluster.remains()) {
      if (!isChosen(left) || !isOld(left.createdAt)) continue;
      // That one list lacks a Deployment is not believed, and a pod without one may hold work.
      if ((await cluster.findSession(left.replId))?.id === left.id) continue;
      if (await cluster.waitUntilGone(left, AbortSignal.timeout(lookMs)))
        await attempt(`${left.replId}: objects without a Deployment`, () => cluster.remove(left));
      else await end({ id: left.id, replId: left.replId, userId: left.userId });
    }
    const running = await runningRepls(context);
    for await (const marks of directory.marks()) {
      for (const { startedAt, ...session } of marks) {
        if (!isChosen(session) || running.has(session.replId) || (startedAt && !isOld(startedAt))) continue;
        // It may have been started since.
        if (await cluster.findSession(session.replId)) continue;
        const isCopied = startedAt && Date.now() - Date.parse(startedAt) < longestCopyMs;
        if (isCopied && !(await registry.read(session.userId, session.replId))) continue;
        await attempt(`${session.replId}: taken for open, but nothing runs`, () => withdrawEnded(ports, session));
      }
    }
    return {
      findings,
      ...(ends.length > 0 ? { ends } : {}),
      ...(orphans.length > 0 ? { orphans } : {}),
    };

    /** A pod whose Deployment is gone: closed where it may save, rescued where it may not. */
    async function end(session: Session): Promise<void> {
      const reason = "its Deployment is gone and its pod is not";
      const record = await registry.read(session.userId, session.replId);
      findings.push(`${session.replId}: ${reason}`);
      if (isDryRun) return;
      if (!isWriter(record, session)) orphans.push({ session, reason });
      else if (record.lastSave)
        ends.push({
          workflow: "close",
          replId: session.replId,
          owner: record.owner,
          lastSave: record.lastSave,
          reason,
        });
    }
  };

  /** Their ids, page by page: to ask the cluster for each mark would be a call for each person at work. */
  async function runningRepls(context: Context): Promise<Set<ReplId>> {
    const running = new Set<ReplId>();
    for await (const page of pagesOfSessions(cluster)) {
      for (const { replId } of page) running.add(replId);
      context.heartbeat();
    }
    return running;
  }
}
