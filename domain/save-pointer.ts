import { ReplError } from "./errors.ts";
import { mayTakeWork, restoredFor } from "./holder.ts";
import { lossNow } from "./losses.ts";
import type { Registry, SavePointer, Writer } from "./ports.ts";
import type { ReplRecord, Session } from "./repl.ts";

/** The pointer to a REPL's newest save, as its record in the registry holds it. */
export function createSavePointer(registry: Pick<Registry, "read" | "update">): SavePointer {
  const update = ({ userId, replId }: Session, change: (record: ReplRecord) => ReplRecord) =>
    registry.update(userId, replId, change);

  return {
    async read(writer) {
      const { userId, replId } = writer.session;
      const record = await registry.read(userId, replId);
      if (!record) throw new ReplError("not_found", `${replId} is not in the registry`);
      requireWriter(record, writer);
      return record;
    },

    claim: (session, pod) => update(session, (current) => claimed(current, session, pod)),

    async claimWhenFree(session, pod) {
      let heldBy: string | undefined;
      try {
        return await update(session, (current) => {
          requireWriter(current, { session });
          heldBy = otherHolder(current, session, pod);
          if (heldBy === undefined) return claimed(current, session, pod);
          // Leaves the record as it is.
          throw new ReplError("conflict", `held by ${heldBy}`);
        });
      } catch (error) {
        if (heldBy !== undefined) return { heldBy };
        throw error;
      }
    },

    async filled(writer) {
      await update(writer.session, (current) => {
        requireWriter(current, writer);
        const restored = restoredFor(current, writer.session);
        // What the pod has claimed is not there in an older answer.
        if (!restored || restored.pod !== writer.pod)
          throw new ReplError(
            "unavailable",
            `the record of ${current.id} does not show what ${writer.pod} has claimed`,
          );
        const { filling, ...filled } = restored;
        return filling ? { ...current, restored: filled } : current;
      });
    },

    async release(writer, notSaved) {
      await update(writer.session, (current) => {
        requireWriter(current, writer);
        const { restored } = current;
        // A pod that never restored holds nothing.
        if (!restored || restored.pod !== writer.pod) return current;
        // Its answer may have been lost.
        if (restored.released) return current;
        return { ...current, restored: { ...restored, released: true, ...(notSaved ? { notSaved } : {}) } };
      });
    },

    async move(writer, parent, save) {
      await update(writer.session, (current) => {
        // Our own write, whose answer was lost.
        if (current.lastSave?.version === save.version) return current;
        requireWriter(current, writer);
        if ((current.lastSave?.generation ?? 0) !== parent)
          throw new ReplError("conflict", `a save of ${current.id} after ${parent} was made by somebody else`);
        return { ...current, ...heldAgain(current), lastSave: save };
      });
    },
  };
}

function otherHolder(record: ReplRecord, session: Session, pod: string): string | undefined {
  const restored = restoredFor(record, session);
  if (!restored || restored.pod === pod) return undefined;
  return restored.released || restored.gone || restored.filling ? undefined : restored.pod;
}

/** A pod that saves after it has released its files lives on: its container alone was told to end. */
function heldAgain({ restored }: ReplRecord): Pick<ReplRecord, "restored"> {
  if (!restored?.released) return {};
  const { released: _, notSaved: __, ...held } = restored;
  return { restored: held };
}

function claimed(current: ReplRecord, session: Session, pod: string): ReplRecord {
  requireWriter(current, { session });
  const restored = restoredFor(current, session);
  const isAnother = restored !== undefined && restored.pod !== pod;
  // With words that could not be saved the pod that has them may still live again.
  const pods = isAnother && mayTakeWork(restored) ? 1 : 0;
  const notSaved = isAnother ? restored.notSaved : undefined;
  const lost = pods > 0 || notSaved ? { lastLoss: lossNow(current, session, pods, notSaved) } : {};
  // A pod that was once full stays so: an older answer could not be told from this one otherwise.
  const isFull = restored?.pod === pod && !restored.filling;
  // No claim is like the one before: an older answer that shows that one would be taken for it.
  const before = Date.parse(current.restored?.at ?? "") || 0;
  const at = Math.max(Date.now(), before + 1);
  const held = { sessionId: session.id, pod, at: new Date(at).toISOString() };
  return { ...current, restored: isFull ? held : { ...held, filling: true }, ...lost };
}

/** Notes that a pod is no more, so that its successor need not wait for it. Whoever holds the files now is left alone. */
export async function noteGone(
  registry: Pick<Registry, "read" | "update">,
  { id, userId, replId }: Session,
  pod: string,
): Promise<void> {
  const isToNote = ({ restored }: ReplRecord) =>
    restored?.sessionId === id && restored.pod === pod && !restored.released && !restored.gone;
  const record = await registry.read(userId, replId);
  if (!record || !isToNote(record)) return;
  await registry.update(userId, replId, (current) =>
    isToNote(current) && current.restored ? { ...current, restored: { ...current.restored, gone: true } } : current,
  );
}

/** A pod that was given up for lost may live on where nobody reaches it. */
function requireWriter(record: ReplRecord, { session, pod }: Writer): void {
  const { restored } = record;
  if (pod !== undefined && restored?.sessionId === session.id && restored.pod !== pod)
    throw new ReplError("conflict", `${record.id} runs in another pod of this session now`);
  if (record.sessionId !== session.id) throw new ReplError("conflict", `${record.id} belongs to another session now`);
  if (record.endedSession === session.id) throw new ReplError("conflict", `This session of ${record.id} has ended`);
}
