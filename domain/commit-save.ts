import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore } from "./ports.ts";
import { updateRecord } from "./registry.ts";
import type { ReplRecord } from "./repl.ts";
import {
  createManifest,
  summarize,
  writeSaveManifest,
  type SaveHeader,
  type SaveEntry,
  type SaveManifest,
  type SaveSummary,
} from "./save.ts";

/** Manifests that never became saves may stand in the way: their numbers are passed over, but not for ever. */
const maximumNumbersPassed = 50;

/** Who saves: a session, and which of its pods. */
export interface Writer {
  readonly sessionId: string;
  /** Absent where no pod is behind it. */
  readonly pod?: string | undefined;
}

export interface CommitDetails extends Writer, Pick<SaveHeader, "kind" | "leftOut" | "inMotion"> {}

/**
 * Makes a tree the newest save: writes the manifest under a number that nobody has used, reads it back, and
 * moves the record's pointer by a conditional write. Throws `conflict` when the session is not the writer (any
 * more) or somebody else saved after `record` was read. A repetition of one that got through is success.
 */
export async function commitSave(
  store: FileStore,
  record: ReplRecord,
  entries: readonly SaveEntry[],
  details: CommitDetails,
): Promise<SaveSummary> {
  const { id: replId, owner } = record;
  const { sessionId, kind, leftOut, inMotion } = details;
  const parent = record.lastSave?.generation ?? 0;
  const createdAt = new Date().toISOString();
  for (let generation = parent + 1; generation <= parent + maximumNumbersPassed; generation++) {
    const manifest = createManifest(
      { replId, generation, parent, createdAt, sessionId, kind, leftOut, inMotion },
      entries,
    );
    const version = await writeManifest(store, manifest);
    if (version === undefined) continue;
    const summary = summarize(manifest, version);
    await updateRecord(store, owner.id, replId, (current) => {
      // Our own write, whose answer was lost.
      if (current.lastSave?.version === version) return current;
      requireWriter(current, details);
      if ((current.lastSave?.generation ?? 0) !== parent)
        throw new ReplError("conflict", `a save of ${replId} after ${parent} was made by somebody else`);
      return { ...current, lastSave: summary };
    });
    return summary;
  }
  throw new ReplError("unavailable", `${replId}: too many manifests that never became a save`);
}

/**
 * Throws `conflict` unless it is the REPL's one writer: the session that claimed it last, in the pod that restored
 * for it last. A pod that was given up for lost may live on where nobody reaches it.
 */
export function requireWriter(record: ReplRecord, { sessionId, pod }: Writer): void {
  const { restored } = record;
  if (pod !== undefined && restored?.sessionId === sessionId && restored.pod !== pod)
    throw new ReplError("conflict", `${record.id} runs in another pod of this session now`);
  if (record.sessionId !== sessionId) throw new ReplError("conflict", `${record.id} belongs to another session now`);
}

/** Undefined when there is another manifest of that number already. */
async function writeManifest(store: FileStore, manifest: SaveManifest): Promise<string | undefined> {
  const key = objectKey.save(manifest.replId, manifest.generation);
  const text = writeSaveManifest(manifest);
  try {
    await store.putText(key, text, { ifNoneMatch: true });
  } catch (error) {
    // Perhaps it is our own, whose answer was lost.
    if (!(error instanceof ReplError && error.code === "conflict")) throw error;
  }
  const readBack = await store.getText(key);
  if (!readBack) throw new ReplError("unavailable", `${key} does not read back`);
  return readBack.text === text ? readBack.version : undefined;
}
