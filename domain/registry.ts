import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore, ObjectStore } from "./ports.ts";
import type { ReplId, ReplRecord, User } from "./repl.ts";
import { parseSaveManifest, type SaveManifest, type SaveSummary } from "./save.ts";

/**
 * The registry: one object per REPL, changed only by conditional writes, so that of two writers at once
 * one wins and the other looks again.
 */

const maximumTries = 8;

export async function readRecord(
  store: Pick<FileStore, "getText">,
  userId: string,
  replId: ReplId,
): Promise<ReplRecord | undefined> {
  const object = await store.getText(objectKey.record(userId, replId));
  return object && (JSON.parse(object.text) as ReplRecord);
}

/** All REPLs of a user, in no particular order. */
export async function readRecords(store: ObjectStore, userId: string): Promise<ReplRecord[]> {
  const keys = await store.list(objectKey.records(userId));
  const objects = await Promise.all(keys.map((key) => store.getText(key)));
  return objects.flatMap((object) => (object ? [JSON.parse(object.text) as ReplRecord] : []));
}

/** Writes a new record; one that is there already and says the same is success, another one throws `conflict`. */
export async function createRecord(store: FileStore, record: ReplRecord): Promise<void> {
  const key = objectKey.record(record.owner.id, record.id);
  try {
    await store.putText(key, JSON.stringify(record), { ifNoneMatch: true });
  } catch (error) {
    if (!(error instanceof ReplError && error.code === "conflict")) throw error;
    const existing = await readRecord(store, record.owner.id, record.id);
    if (existing?.createdAt !== record.createdAt) throw error;
  }
}

/**
 * Reads, changes and writes back a record, again when somebody else was faster. `change` may throw to leave
 * it as it is. Throws `not_found` when there is no record.
 */
export async function updateRecord(
  store: FileStore,
  userId: string,
  replId: ReplId,
  change: (record: ReplRecord) => ReplRecord,
): Promise<ReplRecord> {
  const key = objectKey.record(userId, replId);
  for (let attempt = 1; ; attempt++) {
    const object = await store.getText(key);
    if (!object) throw new ReplError("not_found", "There is no such REPL.");
    const record = change(JSON.parse(object.text) as ReplRecord);
    try {
      await store.putText(key, JSON.stringify(record), { ifMatch: object.etag });
      return record;
    } catch (error) {
      if (!(error instanceof ReplError && error.code === "conflict") || attempt === maximumTries) throw error;
    }
  }
}

/** A REPL whose deletion has begun: there may still be files of it. */
export interface Deletion {
  readonly replId: ReplId;
  readonly owner: User;
}

export async function noteDeletion(store: FileStore, { replId, owner }: Deletion): Promise<void> {
  await store.putText(objectKey.deletion(owner.id, replId), JSON.stringify({ replId, owner }));
}

export async function hasDeletion(store: Pick<FileStore, "getText">, userId: string, replId: ReplId): Promise<boolean> {
  return (await store.getText(objectKey.deletion(userId, replId))) !== undefined;
}

/** Deletions that have begun and not ended; few, and none most of the time. */
export async function readDeletions(store: Pick<ObjectStore, "list" | "getText">): Promise<Deletion[]> {
  const keys = await store.list(objectKey.deletions);
  const notes = await Promise.all(keys.map((key) => store.getText(key)));
  return notes.flatMap((note) => (note ? [JSON.parse(note.text) as Deletion] : []));
}

/** Reads the manifest a record points at. Throws `unavailable` when it is missing: a record never points at nothing. */
export async function readSave(store: FileStore, replId: ReplId, save: SaveSummary): Promise<SaveManifest> {
  const object = await store.getText(objectKey.save(replId, save.generation), save.version);
  if (!object) throw new ReplError("unavailable", `Save ${save.generation} of ${replId} is not in the object store.`);
  const manifest = parseSaveManifest(object.text);
  if (manifest.replId !== replId || manifest.generation !== save.generation) {
    throw new ReplError("unavailable", `Save ${save.generation} of ${replId} is not what its name says.`);
  }
  return manifest;
}
