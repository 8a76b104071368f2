import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore, SavePointer, Writer } from "./ports.ts";
import type { SavedRepl } from "./repl.ts";
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

/** Where saves are made. */
export interface SavePlace {
  readonly store: FileStore;
  readonly pointer: SavePointer;
}

export interface CommitDetails extends Pick<SaveHeader, "kind" | "leftOut" | "inMotion"> {
  readonly writer: Writer;
}

/**
 * Makes a tree the newest save: writes the manifest under a number that nobody has used, reads it back, and
 * moves the record's pointer to it. Throws `conflict` when the session is not the writer (any more) or somebody else
 * saved after `record` was read. A repetition of one that got through is success.
 */
export async function commitSave(
  { store, pointer }: SavePlace,
  record: SavedRepl,
  entries: readonly SaveEntry[],
  { writer, kind, leftOut, inMotion }: CommitDetails,
): Promise<SaveSummary> {
  const replId = record.id;
  const parent = record.lastSave?.generation ?? 0;
  const sessionId = writer.session.id;
  const createdAt = new Date().toISOString();
  for (let generation = parent + 1; generation <= parent + maximumNumbersPassed; generation++) {
    const manifest = createManifest(
      { replId, generation, parent, createdAt, sessionId, kind, leftOut, inMotion },
      entries,
    );
    const version = await writeManifest(store, manifest);
    if (version === undefined) continue;
    const summary = summarize(manifest, version);
    await pointer.move(writer, parent, summary);
    return summary;
  }
  throw new ReplError("unavailable", `${replId}: too many manifests that never became a save`);
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
