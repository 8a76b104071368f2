import { Context } from "@temporalio/activity";
import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf } from "../domain/errors.ts";
import { warningEvent } from "../domain/events.ts";
import type { RunningSession, SessionReport } from "../domain/ports.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";
import { isWriter, reviewSession } from "../domain/session-review.ts";
import type { EndOfRepl, OrphanInput, ReconcileInput, SessionsReview } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { adoptSession } from "./publish-session.ts";
import { createRenewKeys } from "./renew-keys.ts";

const concurrentSessions = 8;
/** Keys are renewed when a third of their time is over: the kubelet needs a minute or two to hand them on. */
const renewAfter = 1 / 3;

/**
 * Looks at one page of the cluster's sessions: tells which are to be ended, notes which may be orphans, warns owners before, makes the look-ups
 * say again what runs, and renews keys that grow old. A session that cannot be looked at is a finding and keeps
 * nobody from the others. A dry run changes nothing. May be repeated.
 */
export function createReviewSessions(ports: Ports) {
  const { cluster, directory, registry, events, credentials, settings, lifetimes } = ports;
  const renewKeys = createRenewKeys(ports);

  return async ({ cursor, userId, idleSeconds, isDryRun }: ReconcileInput): Promise<SessionsReview> => {
    const context = Context.current();
    const { sessions, next } = await cluster.pageOfSessions(cursor);
    const chosen = sessions.filter((session) => userId === undefined || session.userId === userId);
    // Without the look-ups nobody knows who is idle; everything else goes on.
    const reports = await directory.reports(chosen).catch(() => []);
    const ends: EndOfRepl[] = [];
    const orphans: OrphanInput[] = [];
    let orphansSeen = 0;
    const findings: string[] = [];
    await mapConcurrently([...chosen.entries()], { items: concurrentSessions }, async ([at, session]) => {
      try {
        await look(session, reports[at]);
      } catch (error) {
        findings.push(`${session.replId}: cannot be looked at (${messageOf(error)})`);
      }
      context.heartbeat();
    });
    return {
      seen: chosen.length,
      ends,
      findings,
      ...(orphans.length > 0 ? { orphans } : {}),
      ...(orphansSeen > 0 ? { orphansSeen } : {}),
      ...(next ? { next } : {}),
    };

    async function look(session: RunningSession, report: SessionReport | undefined): Promise<void> {
      const record = await registry.read(session.userId, session.replId);
      const limits = { ...lifetimes, ...(idleSeconds === undefined ? {} : { idleSeconds }) };
      const verdict = reviewSession({ session, record, report }, limits, new Date());
      const isOrphan = verdict.do === "note" || verdict.do === "rescue";
      if (isOrphan) orphansSeen++;
      if (session.orphan && !isOrphan && !isDryRun) await cluster.note(session, { orphan: null });
      if (verdict.do === "nothing") {
        if (record && !isDryRun) await keep(session, record);
        return;
      }
      findings.push(`${session.replId}: ${verdict.do}, ${verdict.reason}`);
      if (isDryRun) return;
      if (verdict.do === "warn")
        events.publish(session.replId, warningEvent(`It will be closed soon: ${verdict.reason}.`, verdict.at));
      else if (verdict.do === "note") await cluster.note(session, { orphan: verdict.orphan });
      else if (verdict.do === "rescue") orphans.push({ session: plainly(session), reason: verdict.reason });
      else if (record?.lastSave) {
        const { lastSave, owner } = record;
        const repl = { replId: record.id, owner, reason: verdict.reason };
        ends.push(verdict.do === "close" ? { workflow: "close", ...repl, lastSave } : { workflow: "delete", ...repl });
      }
    }
  };

  async function keep(session: RunningSession, record: ReplRecord): Promise<void> {
    await renewIfDue(session);
    if (!session.isReady) return;
    const now = await noteLetIn(session, record);
    const known = await directory.activeSession(session.userId, session.replId);
    if (known?.id === session.id && known.state === "running") return;
    if (known && known.id !== session.id)
      await directory.withdraw({ id: known.id, replId: session.replId, userId: session.userId }, {});
    await adoptSession(directory, session, now, settings.runnerUrl);
  }

  /** Where the look-ups say that it runs its owner may be at work in it, as after its publishing: no undo may remove it. */
  async function noteLetIn(session: RunningSession, record: ReplRecord): Promise<ReplRecord> {
    if (record.lastOpenedSession === session.id) return record;
    const openedAt = new Date().toISOString();
    return registry.update(session.userId, session.replId, (now) =>
      isWriter(now, session) ? { ...now, lastOpenedAt: openedAt, lastOpenedSession: session.id } : now,
    );
  }

  async function renewIfDue(session: RunningSession): Promise<void> {
    const { lifetimeSeconds } = credentials;
    const age = Date.now() - Date.parse(session.keysRenewedAt ?? session.createdAt);
    if (!lifetimeSeconds || age < lifetimeSeconds * 1000 * renewAfter) return;
    await renewKeys(session);
    await cluster.note(session, { keysRenewedAt: new Date().toISOString() });
  }
}

const plainly = ({ id, replId, userId }: Session): Session => ({ id, replId, userId });
