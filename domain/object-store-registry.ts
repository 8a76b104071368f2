import type { SavePlace } from "./commit-save.ts";
import { ReplError } from "./errors.ts";
import { nameOfRecord, objectKey } from "./naming.ts";
import type { Deletion, FileStore, ObjectStore, Registry } from "./ports.ts";
import type { ReplRecord } from "./repl.ts";
import { createSavePointer } from "./save-pointer.ts";

const maximumTries = 8;

/** What saves and restores need of a registry. */
export type Records = Pick<Registry, "read" | "update" | "create">;

/**
 * Records as objects, one per REPL, changed only by conditional writes, so that of two writers at once one wins and
 * the other looks again.
 */
export function createObjectStoreRecords(store: Pick<FileStore, "getText" | "putText">): Records {
  const read: Records["read"] = async (userId, replId) => {
    const object = await store.getText(objectKey.record(userId, replId));
    return object && (JSON.parse(object.text) as ReplRecord);
  };

  return {
    read,

    async create(record) {
      const { id, owner, createdAt } = record;
      try {
        await store.putText(objectKey.record(owner.id, id), JSON.stringify(record), { ifNoneMatch: true });
      } catch (error) {
        if (!(error instanceof ReplError && error.code === "conflict")) throw error;
        if ((await read(owner.id, id))?.createdAt !== createdAt) throw error;
      }
    },

    async update(userId, replId, change) {
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
    },
  };
}

/** The registry in the bucket itself, beside the files: nothing else has to be run for it. */
export function createObjectStoreRegistry(store: ObjectStore): Registry {
  async function readAll<T>(prefix: string): Promise<T[]> {
    const objects = await Promise.all((await store.list(prefix)).map((key) => store.getText(key)));
    return objects.flatMap((object) => (object ? [JSON.parse(object.text) as T] : []));
  }

  return {
    home: "bucket",
    ...createObjectStoreRecords(store),
    list: (userId) => readAll<ReplRecord>(objectKey.records(userId)),
    names: async () => (await store.list(objectKey.allRecords)).map(nameOfRecord),
    remove: (userId, replId) => store.purge(objectKey.record(userId, replId)),
    async noteDeletion({ replId, owner }) {
      await store.putText(objectKey.deletion(owner.id, replId), JSON.stringify({ replId, owner }));
    },
    hasDeletion: async (userId, replId) => (await store.getText(objectKey.deletion(userId, replId))) !== undefined,
    deletions: () => readAll<Deletion>(objectKey.deletions),
    endDeletion: (userId, replId) => store.purge(objectKey.deletion(userId, replId)),
    check: () => store.check(),
  };
}

/** Saves whose pointer is kept beside them. */
export function createSavePlace(store: FileStore): SavePlace {
  return { store, pointer: createSavePointer(createObjectStoreRecords(store)) };
}
