import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore, SavePointer, Writer } from "./ports.ts";
import type { ReplId, SavedRepl } from "./repl.ts";
import {
  createManifest,
  summarize,
  writeSaveManifest,
  type SaveHeader,
  type SaveEntry,
  type SaveManifest,
  type SaveSummary,
} from "./save.ts";

/** Where saves are made. */
export interface SavePlace {
  readonly store: FileStore;
  readonly pointer: SavePointer;
}

export interface CommitDetails extends Pick<SaveHeader, "kind" | "leftOut" | "inMotion" | "notSaved"> {
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
  { writer, ...details }: CommitDetails,
): Promise<SaveSummary> {
  const replId = record.id;
  const parent = record.lastSave?.generation ?? 0;
  const sessionId = writer.session.id;
  const createdAt = new Date().toISOString();
  for (let generation = parent + 1; ; generation = await numberAfterRow(store, replId, generation)) {
    const manifest = createManifest({ replId, generation, parent, createdAt, sessionId, ...details }, entries);
    const version = await writeManifest(store, manifest);
    if (version === undefined) continue;
    const summary = summarize(manifest, version);
    await pointer.move(writer, parent, summary);
    return summary;
  }
}

/**
 * The number after a row of manifests, however long. Each attempt took the next free one, so that a row has no gap and
 * its end is found in a few looks; they are not written over, because a pointer on its way may name one of them. To
 * keys that may not list a bucket S3 says of a missing object that it is forbidden, so what does not read counts as
 * free: the conditional write after this decides.
 */
async function numberAfterRow(store: FileStore, replId: ReplId, first: number): Promise<number> {
  const isTaken = (number: number) =>
    store.getText(objectKey.save(replId, number)).then(
      (manifest) => manifest !== undefined,
      () => false,
    );
  let [taken, step] = [first, 1];
  for (; await isTaken(taken + step); step *= 2) taken += step;
  let free = taken + step;
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2);
    if (await isTaken(middle)) taken = middle;
    else free = middle;
  }
  return free;
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
