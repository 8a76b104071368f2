import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import { readSave } from "../domain/read-save.ts";
import { createManifest, parseSaveManifest, summarize, writeSaveManifest, type SaveEntry } from "../domain/save.ts";
import type { ReplInput, StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

const concurrentCopies = 32;
const nanosecondsPerMillisecond = 1_000_000n;

/**
 * Makes the first save of a new REPL: copies every file of the template, or of another REPL's save, within the
 * store, each checked by its checksum, writes the manifest, and last the registry record, with which the REPL
 * exists. Throws `unavailable` when the template is not published yet or any file cannot be copied, `conflict` when
 * the id is taken, or another session is the REPL's writer. May be repeated.
 */
export function createCopyTemplate({ store, registry }: Pick<Ports, "store" | "registry">) {
  async function entriesOf({ repl, template, copyOf }: StartInput): Promise<readonly SaveEntry[]> {
    if (copyOf) return (await readSave(store, copyOf.replId, copyOf.save)).entries;
    const published = await store.getText(objectKey.templateManifest(template.name, template.digest));
    if (!published)
      throw new ReplError("unavailable", `Template ${template.name} (${template.digest}) is not published yet.`);
    // A template has no times of its own; the files are as old as the REPL.
    const mtimeNs = String(BigInt(Date.parse(repl.createdAt)) * nanosecondsPerMillisecond);
    return parseSaveManifest(published.text).entries.map((entry) => ({ ...entry, mtimeNs }));
  }

  return async (input: StartInput): Promise<void> => {
    const { repl, session, copyOf } = input;
    const existing = await registry.read(repl.owner.id, repl.id);
    if (existing && existing.createdAt !== repl.createdAt)
      throw new ReplError("conflict", "A REPL of this id exists already.");
    // Of a run that was reset: what has happened since is not its to change.
    if (existing && existing.sessionId !== session.id)
      throw new ReplError("conflict", "Another session of this REPL has been opened since.");
    if (existing) return;
    const entries = await mapConcurrently(
      await entriesOf(input),
      { items: concurrentCopies },
      async (entry): Promise<SaveEntry> => {
        if (entry.type !== "file") return entry;
        const key = keyInNew(entry.key, entry.path, input);
        const copied = await store.copy(entry.key, key, entry).catch((error: unknown) => {
          throw new ReplError("unavailable", `${entry.path} cannot be copied: ${messageOf(error)}`, { cause: error });
        });
        return { ...entry, key, version: copied.version };
      },
    );
    const manifest = createManifest(
      {
        replId: repl.id,
        generation: 1,
        parent: 0,
        sessionId: session.id,
        createdAt: repl.createdAt,
        kind: copyOf ? "copy" : "template",
        leftOut: [],
        inMotion: [],
      },
      entries,
    );
    const written = await store.putText(objectKey.save(repl.id, 1), writeSaveManifest(manifest));
    await registry.create({ ...repl, sessionId: session.id, lastSave: summarize(manifest, written.version) });
  };
}

/** A path that no key can express lies under its digest, there as here. */
function keyInNew(key: string, path: string, { repl, copyOf }: StartInput): string {
  const odd = copyOf && objectKey.oddFiles(copyOf.replId);
  return odd && key.startsWith(odd)
    ? objectKey.oddFiles(repl.id) + key.slice(odd.length)
    : objectKey.workspace(repl.owner, repl.id) + path;
}

/**
 * Undoes {@link createCopyTemplate}: removes the files of a REPL that was never opened. One that its owner has
 * once been told of is left alone, whatever run asks. May be repeated.
 */
export function createRemoveNewFiles(ports: Ports) {
  const removeFiles = createRemoveFiles(ports);
  return async ({ repl, session }: StartInput): Promise<void> => {
    const record = await ports.registry.read(repl.owner.id, repl.id);
    if (record && (record.lastOpenedAt || record.createdAt !== repl.createdAt || record.sessionId !== session.id))
      return;
    const id = { replId: repl.id, owner: repl.owner };
    await ports.registry.noteDeletion(id);
    await removeFiles(id);
  };
}

/**
 * Removes the record of a REPL, with which it no longer exists, then all files and saves, and last the note that it
 * is being deleted, by which the reconciler finds a removal that was interrupted. May be repeated.
 */
export function createRemoveFiles({ store, registry }: Ports) {
  return async ({ replId, owner }: ReplInput): Promise<void> => {
    await registry.remove(owner.id, replId);
    await Promise.all([
      store.purge(objectKey.workspace(owner, replId)),
      store.purge(objectKey.oddFiles(replId)),
      store.purge(objectKey.saves(replId)),
    ]);
    await registry.endDeletion(owner.id, replId);
  };
}
