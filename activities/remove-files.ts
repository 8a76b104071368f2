import { objectKey } from "../domain/naming.ts";
import { purge } from "../domain/purge.ts";
import type { ReplRecord } from "../domain/repl.ts";
import type { ReplInput, StartInput } from "./inputs.ts";
import { currentRun } from "./lease.ts";
import type { Ports } from "./ports.ts";

/**
 * Undoes a copy of a template or save: removes the files of a REPL that was never opened, and leaves a tombstone by which
 * an attempt that is slower is refused. One that its owner has once been told of is left alone, and so is one that
 * another run made. No deletion is noted: a note that came late would delete what its owner has opened since. What an
 * undo leaves that was cut short, `pruneSaves` finds by the tombstone. Idempotent.
 */
export function createRemoveNewFiles({ store, registry }: Ports) {
  return async ({ repl, session }: StartInput): Promise<void> => {
    const { owner, createdAt } = repl;
    const run = currentRun();
    const isOurs = ({ lastOpenedAt, sessionId, madeBy = run }: ReplRecord) =>
      !lastOpenedAt && sessionId === session.id && madeBy === run;
    const record = await registry.read(owner.id, repl.id);
    if (record && (record.createdAt !== createdAt || !isOurs(record))) return;
    const id = { replId: repl.id, owner };
    if (await registry.bury({ ...id, createdAt, run }, isOurs)) await purgeFiles(store, id);
  };
}

/**
 * Removes the record of a REPL, with which it no longer exists, then all files and saves and what was rescued of it. The
 * note that it is being deleted stays, by which the reconciler finds a removal that was interrupted. Without that note
 * nothing is removed, and neither is another REPL of the same id. May be repeated.
 */
export function createRemoveFiles({ store, registry }: Ports) {
  return async ({ replId, owner, createdAt }: ReplInput): Promise<void> => {
    const noted = await registry.findDeletion(owner.id, replId);
    if (!noted && !createdAt) return;
    // A release that knew no such notes named no time: it meant the record that is there.
    const meant = createdAt ?? noted?.createdAt ?? (await registry.read(owner.id, replId))?.createdAt;
    const isThis = meant === undefined || (await registry.bury({ replId, owner, createdAt: meant }));
    if (!isThis) return;
    await purgeFiles(store, { replId, owner });
    await purge(store, objectKey.rescued(replId));
  };
}

async function purgeFiles(store: Ports["store"], { replId, owner }: ReplInput): Promise<void> {
  for (const prefix of [objectKey.workspace(owner, replId), objectKey.oddFiles(replId), objectKey.saves(replId)])
    await purge(store, prefix);
}
