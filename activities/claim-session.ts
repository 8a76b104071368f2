import { ReplError } from "../domain/errors.ts";
import { mayTakeWork } from "../domain/holder.ts";
import { joined, lossesOf, lossNow } from "../domain/losses.ts";
import { openSessionOf, type ReplRecord, type Session } from "../domain/repl.ts";
import type { StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** To see whether there are pods. */
const lookMs = 200;

/**
 * Finds the session that runs already (its pod may hold work that no save has), or makes this one the only
 * writer of the REPL's files. Returns the session to go on with. Throws `not_found` when the REPL is gone, `conflict`
 * when its deletion has begun, `unavailable` when a session still runs that another one has superseded. May be repeated.
 */
export function createClaimSession({ registry, cluster, directory }: Ports) {
  return async ({ repl, session }: StartInput): Promise<Session> => {
    // Read before the cluster is looked at: whoever becomes the writer after that look is not superseded by it.
    const seen = await registry.read(repl.owner.id, repl.id);
    if (!seen) throw new ReplError("not_found", "There is no such REPL.");
    const [running, deletion] = await Promise.all([
      cluster.findSession(repl.id),
      registry.findDeletion(repl.owner.id, repl.id),
    ]);
    // By the record a session is open that the cluster does not show: that is asked for in another way before it is believed.
    const open = running ? undefined : openSessionOf(seen);
    if (open && (await cluster.listSessions(open.userId)).some(({ id }) => id === open.id))
      throw new ReplError("unavailable", "The cluster shows this REPL's session in one list and not in another.");
    // A release that knew no such notes named no time.
    if (deletion && (deletion.createdAt ?? seen.createdAt) === seen.createdAt)
      throw new ReplError("conflict", "This REPL is being deleted.");
    if (running && running.userId !== session.userId)
      throw new ReplError("conflict", "The cluster runs this REPL for somebody else.");
    if (running && isSuperseded(seen, running.id))
      throw new ReplError(
        "unavailable",
        "An earlier session of this REPL still runs, although another one has written since. What it holds is saved aside within minutes; then this REPL opens again.",
      );
    const isLoss = open !== undefined && seen.restored !== undefined && mayTakeWork(seen.restored);
    // It may be making its last checkpoint, which a new session would refuse.
    if (isLoss && !(await cluster.waitUntilGone(open, AbortSignal.timeout(lookMs))))
      throw new ReplError(
        "unavailable",
        `The pod of this REPL's last session (${seen.restored.pod}) has not ended yet.`,
      );
    const writer = running ? { id: running.id, replId: running.replId, userId: running.userId } : session;
    await registry.update(repl.owner.id, repl.id, (record) => {
      const changed = makeWriter(record, seen, writer.id);
      return open && changed !== record ? withLossesOf(changed, record, open, isLoss) : changed;
    });
    if (!running) await clearStaleMark();
    return writer;

    /** A close that ended while the look-ups were away has left its mark there, and nobody else is at work on this REPL. */
    async function clearStaleMark(): Promise<void> {
      const marked = await directory.activeSession(repl.owner.id, repl.id).catch(() => undefined);
      if (marked && marked.id !== session.id)
        await directory.withdraw({ id: marked.id, replId: repl.id, userId: repl.owner.id }, {});
    }
  };
}

/** Keeps what a session lost that was never closed, so that the next close reports it. */
function withLossesOf(changed: ReplRecord, before: ReplRecord, session: Session, isLoss: boolean): ReplRecord {
  const last = isLoss ? { ...before, lastLoss: lossNow(before, session, 1) } : before;
  const untold = joined([before.untold, lossesOf(last, session)]);
  return untold ? { ...changed, untold } : changed;
}

/** The record with another writer, by compare-and-set: an attempt that is slower than its successors changes nothing. */
export function makeWriter(record: ReplRecord, seen: ReplRecord, sessionId: string): ReplRecord {
  const { endedSession, failedRun: _, ...rest } = record;
  if (record.sessionId === sessionId && endedSession !== sessionId) return record;
  if (record.createdAt !== seen.createdAt || record.sessionId !== seen.sessionId || endedSession !== seen.endedSession)
    throw new ReplError("unavailable", "Another session of this REPL has begun or ended at the same time.");
  return { ...rest, sessionId };
}

/** Whether another session has restored the files since; what this one would save is older than what is there. */
function isSuperseded({ sessionId, restored }: ReplRecord, running: string): boolean {
  return sessionId !== running && restored !== undefined && restored.sessionId !== running;
}
