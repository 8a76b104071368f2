import { ReplError } from "./errors.ts";
import type { Registry, SavePointer, Writer } from "./ports.ts";
import type { ReplRecord } from "./repl.ts";

/** The pointer to a REPL's newest save, as its record in the registry holds it. */
export function createSavePointer(registry: Pick<Registry, "read" | "update">): SavePointer {
  return {
    async read(writer) {
      const { userId, replId } = writer.session;
      const record = await registry.read(userId, replId);
      if (!record) throw new ReplError("not_found", `${replId} is not in the registry`);
      requireWriter(record, writer);
      return record;
    },

    claim: (session, pod) =>
      registry.update(session.userId, session.replId, (current) => {
        requireWriter(current, { session });
        const { restored, lastSave, lastLoss: before } = current;
        const isLoss = restored?.sessionId === session.id && restored.pod !== pod;
        const count = (before?.sessionId === session.id ? (before.count ?? 1) : 0) + 1;
        const lastLoss = {
          sessionId: session.id,
          at: new Date().toISOString(),
          generation: lastSave?.generation ?? 0,
          count,
        };
        return { ...current, restored: { sessionId: session.id, pod }, ...(isLoss ? { lastLoss } : {}) };
      }),

    async move(writer, parent, save) {
      const { userId, replId } = writer.session;
      await registry.update(userId, replId, (current) => {
        // Our own write, whose answer was lost.
        if (current.lastSave?.version === save.version) return current;
        requireWriter(current, writer);
        if ((current.lastSave?.generation ?? 0) !== parent)
          throw new ReplError("conflict", `a save of ${replId} after ${parent} was made by somebody else`);
        return { ...current, lastSave: save };
      });
    },
  };
}

/** A pod that was given up for lost may live on where nobody reaches it. */
function requireWriter(record: ReplRecord, { session, pod }: Writer): void {
  const { restored } = record;
  if (pod !== undefined && restored?.sessionId === session.id && restored.pod !== pod)
    throw new ReplError("conflict", `${record.id} runs in another pod of this session now`);
  if (record.sessionId !== session.id) throw new ReplError("conflict", `${record.id} belongs to another session now`);
  if (record.endedSession === session.id) throw new ReplError("conflict", `This session of ${record.id} has ended`);
}
