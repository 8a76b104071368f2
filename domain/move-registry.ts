import { mapConcurrently } from "./concurrency.ts";
import { messageOf, ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore, RecordName, Registry } from "./ports.ts";
import { noteRegistryHome, readRegistryHome } from "./registry-home.ts";
import type { ReplRecord } from "./repl.ts";

export interface RegistryMove {
  readonly store: Pick<ObjectStore, "getText" | "putText">;
  readonly from: Registry;
  readonly to: Registry;
}

const concurrentRecords = 8;

/**
 * Moves all records and notes of deletions: copies each and reads it back, notes in the bucket where they are from now
 * on, and removes the old ones. Until that note they are where they were. One that was interrupted goes on when it is
 * repeated. Throws `conflict` when the new registry holds what the old one does not have, `unavailable` when a record
 * cannot be read. Nobody may write meanwhile.
 */
export async function moveRegistry({ store, from, to }: RegistryMove): Promise<{ readonly records: number }> {
  const names = await from.names();
  const each = (work: (name: RecordName) => Promise<void>) =>
    mapConcurrently(names, { items: concurrentRecords }, work);
  if ((await readRegistryHome(store)) !== to.home) {
    await refuseStrangers(names, to);
    const broken: string[] = [];
    await each(async ({ userId, replId }) => {
      const record = await from.read(userId, replId).catch((error: unknown) => {
        broken.push(`${replId} (${messageOf(error)})`);
        return undefined;
      });
      if (record) await copy(record, to);
    });
    if (broken.length > 0)
      throw new ReplError(
        "unavailable",
        `${broken.length} records cannot be read, nothing was moved: ${broken.join(", ")}`,
      );
    for (const deletion of await from.deletions()) await to.noteDeletion(deletion);
    await noteRegistryHome(store, to.home);
  }
  // What an interrupted move left here is older than what is there.
  await each(async ({ userId, replId }) => {
    const record = (await to.read(userId, replId)) ? undefined : await from.read(userId, replId);
    // Made here since, by a worker that nobody had ended. One without its save was deleted there meanwhile.
    if (record && (await hasItsSave(store, record))) await copy(record, to);
    await from.remove(userId, replId);
  });
  for (const { owner, replId } of await from.deletions()) await from.endDeletion(owner.id, replId);
  return { records: names.length };
}

async function hasItsSave(store: RegistryMove["store"], { id, lastSave }: ReplRecord): Promise<boolean> {
  return lastSave !== undefined && (await store.getText(objectKey.save(id, lastSave.generation))) !== undefined;
}

async function copy(record: ReplRecord, to: Registry): Promise<void> {
  const { owner, id } = record;
  await to.create(record);
  // An interrupted move may have left an older one.
  await to.update(owner.id, id, () => record);
  const found = await to.read(owner.id, id);
  if (inOrder(found) !== inOrder(record))
    throw new ReplError("unavailable", `${id}: what was written does not read back`);
}

/** The same whatever order the fields came in: a database may have one of its own. */
function inOrder(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

async function refuseStrangers(names: readonly RecordName[], to: Registry): Promise<void> {
  const known = new Set(names.map(({ replId }) => replId));
  const strangers: string[] = [];
  for (const { userId, replId } of await to.names())
    if (!known.has(replId) && (await to.read(userId, replId))) strangers.push(replId);
  if (strangers.length > 0)
    throw new ReplError(
      "conflict",
      `The new registry already has ${strangers.length} REPLs that the old one does not know, ${strangers[0]} among them: it is another bucket's.`,
    );
}
