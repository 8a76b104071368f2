import { createObjectStoreRecords, createSavePlace } from "../../domain/object-store-registry.ts";
import { readSave } from "../../domain/read-save.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import { saveWorkspace, type SaveOptions } from "../../sync/save.ts";
import { createFakeObjectStore } from "../fakes/object-store.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { newFolder } from "./trees.ts";

/** A REPL whose workspace is on this disk and whose store is in memory. */
export async function newSyncRepl() {
  const fake = createFakeObjectStore();
  const record = newRecord();
  const session = newSession(record);
  const records = createObjectStoreRecords(fake.store);
  await records.create({ ...record, sessionId: session.id });
  const place = createSavePlace(fake.store);
  const here = { root: newFolder(), knownFolder: newFolder(), pod: "pod" };
  const lastSave = async () => (await records.read(record.owner.id, record.id))?.lastSave;
  return {
    ...here,
    ...fake,
    place,
    record,
    session,
    here,
    save: (options: Partial<SaveOptions> = {}) =>
      saveWorkspace(place, session, { ...here, kind: "checkpoint", ...options }),
    lastSave,
    async newestSave() {
      const save = await lastSave();
      if (!save) throw new Error("nothing was saved");
      return readSave(fake.store, record.id, save);
    },
    async restored(): Promise<string> {
      const root = newFolder();
      await restoreWorkspace(place, session, { root, knownFolder: newFolder(), pod: "pod" });
      return root;
    },
  };
}

/** Runs work without the rights of root. Tests that run as somebody else have none anyway. */
export async function withoutRoot<Result>(work: () => Promise<Result>): Promise<Result> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(1000);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
