import { besideSentinel } from "./absence.ts";
import type { SavePlace } from "./commit-save.ts";
import { messageOf, ReplError } from "./errors.ts";
import { nameOfRecord, objectKey } from "./naming.ts";
import type { Deletion, FileStore, ObjectStore, PutCondition, Registry } from "./ports.ts";
import { purge } from "./purge.ts";
import type { ReplRecord } from "./repl.ts";
import { createSavePointer } from "./save-pointer.ts";
import { buryIn, changeIn, createIn, isForgettable, readPlace, writePlace, type RecordPlace } from "./record-place.ts";

const maximumTries = 8;

/** What saves and restores need of a registry. */
export type Records = Pick<Registry, "read" | "update" | "create">;

type TextStore = Pick<FileStore, "getText" | "putText">;

/**
 * Records as objects, one per REPL, changed only by conditional writes, so that of two writers at once one wins and
 * the other looks again.
 */
export function createObjectStoreRecords(store: TextStore): Records {
  return {
    async read(userId, replId) {
      const key = objectKey.record(userId, replId);
      const object = await store.getText(key);
      return object && readPlace(parsed(key, object.text)).record;
    },

    async create(record) {
      await changePlace(store, objectKey.record(record.owner.id, record.id), (place) => createIn(place, record));
    },

    async update(userId, replId, change) {
      let after: ReplRecord | undefined;
      await changePlace(store, objectKey.record(userId, replId), (now) => {
        const { changed, place } = changeIn(now, change);
        after = changed;
        return place;
      });
      return after as unknown as ReplRecord;
    },
  };
}

/** Reads, decides and writes by compare-and-set, until nobody was between. `decide` answers undefined to leave it as it is. */
async function changePlace(
  store: TextStore,
  key: string,
  decide: (place: RecordPlace) => RecordPlace | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const object = await store.getText(key);
    const next = decide(object ? readPlace(parsed(key, object.text)) : { tombstones: [] });
    if (!next) return;
    const text = writePlace(next);
    if (text === object?.text) return;
    const condition: PutCondition = object ? { ifMatch: object.etag } : { ifNoneMatch: true };
    try {
      await store.putText(key, text, condition);
      const now = await store.getText(key);
      // Somebody may have changed it since; but what was there before is not there any more.
      if (!now || now.etag === object?.etag)
        throw new ReplError("unavailable", `${key}: what was written does not read back`);
      return;
    } catch (error) {
      if (!(error instanceof ReplError && error.code === "conflict") || attempt === maximumTries) throw error;
    }
  }
}

/**
 * The registry in the bucket itself, beside the files: nothing else has to be run for it. No record or note is taken for
 * absent unless the bucket shows its sentinel.
 */
export function createObjectStoreRegistry(store: ObjectStore): Registry {
  const records = besideSentinel(store);

  async function readAll<T>(prefix: string): Promise<T[]> {
    const read = async (key: string) => ({ key, object: await store.getText(key) });
    const objects = await Promise.all((await store.list(prefix)).map(read));
    return objects.flatMap(({ key, object }) => (object ? [parsed(key, object.text) as T] : []));
  }

  async function versionsOf(key: string) {
    const versions = [];
    for await (const page of store.listVersions(key)) versions.push(...page);
    return versions;
  }

  return {
    home: "bucket",
    ...createObjectStoreRecords(records),
    async list(userId) {
      const places = (await readAll<object>(objectKey.records(userId))).map(readPlace);
      return places.flatMap(({ record }) => record ?? []);
    },
    names: async () => (await store.list(objectKey.allRecords)).map(nameOfRecord),
    async bury(burial, mayBury = () => true) {
      const key = objectKey.record(burial.owner.id, burial.replId);
      for (let attempt = 1; attempt <= maximumTries; attempt++) {
        // Listed before the tombstone is written: what comes after it is not for this burial to remove.
        const before = await versionsOf(key);
        let isBuried = false;
        let wasThere = false;
        await changePlace(records, key, (place) => {
          const next = buryIn(place, burial, mayBury, new Date());
          isBuried = next !== undefined;
          wasThere = place.record !== undefined || place.tombstones.length > 0;
          return next;
        });
        if (!isBuried) return false;
        const now = await store.getText(key);
        // A record that came between the list and the tombstone lies below it still.
        if (!now || (wasThere && before.length === 0)) continue;
        await store.removeVersions(before.filter(({ version }) => version !== now.version));
        return true;
      }
      throw new ReplError("unavailable", `The object store does not list the versions of ${key}, which is there.`);
    },
    async forgetTombstones(userId, replId) {
      const key = objectKey.record(userId, replId);
      // Listed before the tombstone is read: a record that comes after it is not removed with what lies below.
      const versions = await versionsOf(key);
      const object = await store.getText(key);
      if (!object || !isForgettable(readPlace(parsed(key, object.text)), new Date())) return;
      const tombstone = versions.find(({ version }) => version === object.version);
      if (!tombstone) return;
      // The tombstone goes last, and alone: without it what lies below would come to light again.
      const others = versions.filter((version) => version !== tombstone);
      if (others.length > 0) await store.removeVersions(others);
      else await store.removeVersions([tombstone]);
    },
    remove: (userId, replId) => purge(store, objectKey.record(userId, replId)),
    async noteDeletion({ replId, owner, createdAt }) {
      const note = JSON.stringify({ replId, owner, ...(createdAt ? { createdAt } : {}) });
      try {
        await store.putText(objectKey.deletion(owner.id, replId), note, { ifNoneMatch: true });
      } catch (error) {
        if (!(error instanceof ReplError && error.code === "conflict")) throw error;
      }
    },
    async findDeletion(userId, replId) {
      const object = await records.getText(objectKey.deletion(userId, replId));
      return object && (JSON.parse(object.text) as Deletion);
    },
    deletions: () => readAll<Deletion>(objectKey.deletions),
    endDeletion: (userId, replId) => purge(store, objectKey.deletion(userId, replId)),
    check: () => store.check(),
  };
}

function parsed(key: string, text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch (error) {
    throw new ReplError("unavailable", `${key} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Saves whose pointer is kept beside them. */
export function createSavePlace(store: FileStore): SavePlace {
  return { store, pointer: createSavePointer(createObjectStoreRecords(store)) };
}
