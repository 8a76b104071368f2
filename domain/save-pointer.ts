import { ReplError } from "./errors.ts";
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

    async release(writer) {
      await update(writer.session, (current) => {
        requireWriter(current, writer);
        const { restored } = current;
        // A pod that never restored holds nothing.
        if (!restored || restored.pod !== writer.pod) return current;
        return { ...current, restored: { ...restored, released: true } };
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

function otherHolder({ restored }: ReplRecord, session: Session, pod: string): string | undefined {
  if (restored?.sessionId !== session.id || restored.pod === pod) return undefined;
  return restored.released || restored.gone ? undefined : restored.pod;
}

/** A pod that saves after it has released its files lives on: its container alone was told to end. */
function heldAgain({ restored }: ReplRecord): Pick<ReplRecord, "restored"> {
  if (!restored?.released) return {};
  const { released: _, ...held } = restored;
  return { restored: held };
}

function claimed(current: ReplRecord, session: Session, pod: string): ReplRecord {
  requireWriter(current, { session });
  const { restored, lastSave, lastLoss: before } = current;
  const isLoss = restored?.sessionId === session.id && restored.pod !== pod && !restored.released;
  const count = (before?.sessionId === session.id ? (before.count ?? 1) : 0) + 1;
  const lastLoss = {
    sessionId: session.id,
    at: new Date().toISOString(),
    generation: lastSave?.generation ?? 0,
    count,
  };
  const at = new Date().toISOString();
  return { ...current, restored: { sessionId: session.id, pod, at }, ...(isLoss ? { lastLoss } : {}) };
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
