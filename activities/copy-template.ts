import { messageOf, ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import { createRecord, readRecord } from "../domain/registry.ts";
import { parseSaveManifest, summarize, type SaveEntry, type SaveManifest } from "../domain/save.ts";
import type { ReplInput, StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

const concurrentCopies = 32;

/**
 * Makes the first save of a new REPL: copies every file of the template within the store, writes the
 * manifest, and last the registry record, with which the REPL exists. Throws `unavailable` when the
 * template is not published yet or any file cannot be copied, `conflict` when the id is taken. May be repeated.
 */
export function createCopyTemplate({ store }: Ports) {
  return async ({ repl, session, template }: StartInput): Promise<void> => {
    const existing = await readRecord(store, repl.owner.id, repl.id);
    if (existing && existing.createdAt !== repl.createdAt)
      throw new ReplError("conflict", "A REPL of this id exists already.");
    if (existing) return;
    const published = await store.getText(objectKey.templateManifest(template.name, template.digest));
    if (!published)
      throw new ReplError("unavailable", `Template ${template.name} (${template.digest}) is not published yet.`);
    const source = parseSaveManifest(published.text);
    const target = objectKey.workspace(repl.owner, repl.id);
    const entries: SaveEntry[] = [];
    for (let start = 0; start < source.entries.length; start += concurrentCopies) {
      const batch = source.entries.slice(start, start + concurrentCopies);
      entries.push(
        ...(await Promise.all(
          batch.map(async (entry): Promise<SaveEntry> => {
            if (entry.type !== "file") return entry;
            const key = target + entry.path;
            const copied = await store.copy(entry.key, key).catch((error: unknown) => {
              throw new ReplError("unavailable", `Template file ${entry.path} cannot be copied: ${messageOf(error)}`, {
                cause: error,
              });
            });
            return { ...entry, key, version: copied.version };
          }),
        )),
      );
    }
    const manifest: SaveManifest = {
      format: 1,
      replId: repl.id,
      generation: 1,
      sessionId: session.id,
      createdAt: repl.createdAt,
      entries,
      leftOut: [],
    };
    const written = await store.putText(objectKey.save(repl.id, 1), JSON.stringify(manifest));
    await createRecord(store, { ...repl, sessionId: session.id, lastSave: summarize(manifest, written.version) });
  };
}

/**
 * Undoes {@link createCopyTemplate}: removes the files of a REPL that was never opened. One that its owner has
 * once been told of is left alone, whatever run asks. May be repeated.
 */
export function createRemoveNewFiles(ports: Ports) {
  const removeFiles = createRemoveFiles(ports);
  return async ({ repl, session }: StartInput): Promise<void> => {
    const record = await readRecord(ports.store, repl.owner.id, repl.id);
    if (record && (record.lastOpenedAt || record.createdAt !== repl.createdAt || record.sessionId !== session.id))
      return;
    await removeFiles({ replId: repl.id, owner: repl.owner });
  };
}

/** Removes all files, saves and the record of a REPL, the record last, so that a half-done removal is found again. May be repeated. */
export function createRemoveFiles({ store }: Ports) {
  return async ({ replId, owner }: ReplInput): Promise<void> => {
    await Promise.all([
      store.purge(objectKey.workspace(owner, replId)),
      store.purge(objectKey.oddFiles(replId)),
      store.purge(objectKey.saves(replId)),
    ]);
    await store.purge(objectKey.record(owner.id, replId));
  };
}
