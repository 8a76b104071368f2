import type { SavePlace } from "./commit-save.ts";
import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import { createObjectStoreRecords } from "./object-store-registry.ts";
import type { FileStore, ObjectStore } from "./ports.ts";
import { readPlace, writePlace } from "./record-place.ts";
import { readSave } from "./read-save.ts";
import type { ReplRecord, Session } from "./repl.ts";
import type { SaveEntry, SaveSummary } from "./save.ts";
import { createSavePointer } from "./save-pointer.ts";

/**
 * Workspaces of orphans: sessions that the registry does not have, or that another session has superseded, and whose
 * pod may hold work that no save has. Each is saved into a bucket within the bucket, laid out as the whole one is:
 * `.devex/rescued/<replId>/<sessionId>/` and below it a record, one save and the files.
 */

const maximumKeyBytes = 1024;
/** No login of GitHub's is so long, and nobody's files lie there. */
export const rescuedLogin = "rescued-workspace";

export interface RescuedWorkspace {
  readonly replId: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly save: SaveSummary;
}

/** The same store, with every key below a prefix. */
export function storeBelow(store: FileStore, prefix: string): FileStore {
  const below = (key: string): string => {
    // The caller has another name for a file whose key the store does not take.
    if (new TextEncoder().encode(prefix + key).length > maximumKeyBytes)
      throw new ReplError("conflict", `${key}: its name is too long below ${prefix}`);
    return prefix + key;
  };
  return {
    getText: async (key, version) => store.getText(below(key), version),
    getStream: async (key, version) => store.getStream(below(key), version),
    head: async (key, version) => store.head(below(key), version),
    putText: async (key, text, condition) => store.putText(below(key), text, condition),
    putFile: async (key, body, sha256) => store.putFile(below(key), body, sha256),
    putParts: async (key, parts) => store.putParts(below(key), parts),
    copy: async (fromKey, toKey, options) => store.copy(below(fromKey), below(toKey), options),
    remove: async (keys) => store.remove(keys.map(below)),
  };
}

/**
 * Where an orphan's workspace is saved; its record is made where there is none yet. Written before it is read: the keys
 * of a session may not ask for what is not there.
 */
export async function openRescuePlace(store: FileStore, session: Session): Promise<SavePlace> {
  const inner = storeBelow(store, objectKey.rescuedSession(session.replId, session.id));
  const records = createObjectStoreRecords(inner);
  const text = writePlace({ record: recordOf(session), tombstones: [] });
  await inner
    .putText(objectKey.record(session.userId, session.replId), text, { ifNoneMatch: true })
    .catch((error: unknown) => {
      if (!(error instanceof ReplError && error.code === "conflict")) throw error;
    });
  return { store: inner, pointer: createSavePointer(records) };
}

function recordOf({ id, replId, userId }: Session): ReplRecord {
  const owner = { id: userId, login: rescuedLogin };
  return {
    id: replId,
    name: "Rescued",
    owner,
    template: "",
    createdAt: new Date().toISOString(),
    sessionId: id,
  };
}

/** What looking for rescued workspaces takes of the object store. */
export type RescuedStore = Pick<ObjectStore, "getText" | "folders">;

/** What was rescued of a user's session; undefined when nothing was (yet), or when the session is not that user's. */
export async function findRescued(
  store: Pick<FileStore, "getText">,
  { id: sessionId, replId, userId }: Session,
): Promise<RescuedWorkspace | undefined> {
  const prefix = objectKey.rescuedSession(replId, sessionId);
  const object = await store.getText(prefix + objectKey.record(userId, replId));
  const save = object && readPlace(JSON.parse(object.text) as object).record?.lastSave;
  return save && { replId, sessionId, userId, save };
}

/** All rescued workspaces of a user; there are few of anybody's. */
export async function listRescued(store: RescuedStore, userId: string): Promise<RescuedWorkspace[]> {
  const found: RescuedWorkspace[] = [];
  for (const ofRepl of await store.folders(objectKey.allRescued)) {
    for (const ofSession of await store.folders(ofRepl)) {
      const [replId = "", id = ""] = ofSession.slice(objectKey.allRescued.length).split("/");
      const rescued = await findRescued(store, { id, replId, userId });
      if (rescued) found.push(rescued);
    }
  }
  return found.sort((a, b) => (a.save.savedAt < b.save.savedAt ? 1 : -1));
}

/** The entries of a rescued workspace, with their keys as the whole bucket has them. */
export async function readRescued(
  store: Pick<FileStore, "getText">,
  { replId, sessionId, save }: Omit<RescuedWorkspace, "userId">,
): Promise<readonly SaveEntry[]> {
  const prefix = objectKey.rescuedSession(replId, sessionId);
  const getText: FileStore["getText"] = (key, version) => store.getText(prefix + key, version);
  const { entries } = await readSave({ getText }, replId, save);
  return entries.map((entry) => (entry.type === "file" ? { ...entry, key: prefix + entry.key } : entry));
}
