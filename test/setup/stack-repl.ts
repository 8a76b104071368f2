import { createObjectStoreRecords } from "../../domain/object-store-registry.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { openStackBucket } from "./stack-bucket.ts";

/** A REPL in the registry of the stack's bucket, with the session that may save it; it has no pod. */
export async function newReplOnStack() {
  const store = await openStackBucket();
  const record = newRecord();
  const session = newSession(record);
  await createObjectStoreRecords(store).create({ ...record, sessionId: session.id });
  return { store, record, session };
}
