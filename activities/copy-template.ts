import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import { readManifest } from "../domain/read-save.ts";
import { readRescued } from "../domain/rescue.ts";
import {
  createManifest,
  parseSaveManifest,
  summarize,
  writeSaveManifest,
  type FileEntry,
  type SaveEntry,
  type SaveManifest,
} from "../domain/save.ts";
import type { StartInput } from "./inputs.ts";
import { currentAttempt, currentRun } from "./lease.ts";
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
    if (copyOf?.sessionId) return readRescued(store, { ...copyOf, sessionId: copyOf.sessionId });
    if (copyOf) return (await readSource(copyOf)).entries;
    const published = await store.getText(objectKey.templateManifest(template.name, template.digest));
    if (!published)
      throw new ReplError("unavailable", `Template ${template.name} (${template.digest}) is not published yet.`);
    // A template has no times of its own; the files are as old as the REPL.
    const mtimeNs = String(BigInt(Date.parse(repl.createdAt)) * nanosecondsPerMillisecond);
    return parseSaveManifest(published.text).entries.map((entry) => ({ ...entry, mtimeNs }));
  }

  async function readSource({ replId, save }: NonNullable<StartInput["copyOf"]>): Promise<SaveManifest> {
    const found = await readManifest(store, replId, save.generation, save.version);
    if (!found) throw sourceIsGone(`save ${save.generation} of ${replId} is not there any more`);
    return found.manifest;
  }

  /** Whether an attempt of this create has written the record. Throws `conflict` where the REPL is not this create's (any more). */
  async function isMade({ repl, session }: StartInput): Promise<boolean> {
    const existing = await registry.read(repl.owner.id, repl.id);
    if (existing && existing.createdAt !== repl.createdAt)
      throw new ReplError("conflict", "A REPL of this id exists already.");
    // Of a run that was reset: what has happened since is not its to change.
    if (existing && existing.sessionId !== session.id)
      throw new ReplError("conflict", "Another session of this REPL has been opened since.");
    if (existing?.endedSession === session.id)
      throw new ReplError("conflict", "This REPL has been closed since it was created. Open it.");
    return existing !== undefined;
  }

  return async (input: StartInput): Promise<void> => {
    const { repl, session, copyOf } = input;
    if (await isMade(input)) return;
    const key = objectKey.save(repl.id, 1);
    const isRetry = currentAttempt() > 1;
    // That of an earlier attempt, which is replaced, unless another attempt does so first.
    const before = isRetry ? await store.getText(key) : undefined;
    const kept = isRetry ? await keptCopies(input) : async () => undefined;
    const entries = await mapConcurrently(
      await entriesOf(input),
      { items: concurrentCopies },
      async (entry): Promise<SaveEntry> => {
        if (entry.type !== "file") return entry;
        const target = keyInNew(entry.key, entry.path, input);
        const version = (await kept(target, entry)) ?? (await copy(entry, target, copyOf !== undefined));
        return { ...entry, key: target, version };
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
    // The write of an earlier attempt's record may have been on its way: what that names is not replaced.
    if (before && (await isMade(input))) return;
    const condition = before ? { ifMatch: before.etag } : ({ ifNoneMatch: true } as const);
    const written = await store.putText(key, writeSaveManifest(manifest), condition).catch(tryAgainOnConflict);
    const lastSave = summarize(manifest, written.version);
    await registry.create({ ...repl, madeBy: currentRun(), sessionId: session.id, lastSave });
  };

  async function copy({ key, path, ...entry }: FileEntry, target: string, isOfRepl: boolean): Promise<string> {
    const copied = await store.copy(key, target, entry).catch((error: unknown) => {
      if (isOfRepl && error instanceof ReplError && error.code === "not_found")
        throw sourceIsGone(`${path} is not there any more`);
      throw new ReplError("unavailable", `${path} cannot be copied: ${messageOf(error)}`, { cause: error });
    });
    return copied.version;
  }

  /** What an earlier attempt has copied is not copied again: a long copy goes on where the one before ended. */
  async function keptCopies({ repl }: StartInput) {
    const prefixes = [objectKey.workspace(repl.owner, repl.id), objectKey.oddFiles(repl.id)];
    const keys = new Set((await Promise.all(prefixes.map((prefix) => store.list(prefix)))).flat());
    return async (key: string, { sha256, sizeBytes }: FileEntry): Promise<string | undefined> => {
      const found = keys.has(key) ? await store.head(key) : undefined;
      return found?.sha256 === sha256 && found.sizeBytes === sizeBytes ? found.version : undefined;
    };
  }
}

/** Trying again cannot help. */
const sourceIsGone = (what: string) =>
  new ReplError("not_found", `What was to be copied has been deleted or cleaned away meanwhile: ${what}.`);

/** Another attempt of the same create was between: the next one sees what it has done. */
function tryAgainOnConflict(error: unknown): never {
  if (error instanceof ReplError && error.code === "conflict")
    throw new ReplError("unavailable", "Another attempt of this create writes its first save.", { cause: error });
  throw error;
}

/** A path that no key can express lies under its digest, there as here. */
function keyInNew(key: string, path: string, { repl, copyOf }: StartInput): string {
  const { sessionId } = copyOf ?? {};
  const place = copyOf && sessionId ? objectKey.rescuedSession(copyOf.replId, sessionId) : "";
  const odd = copyOf && place + objectKey.oddFiles(copyOf.replId);
  return odd && key.startsWith(odd)
    ? objectKey.oddFiles(repl.id) + key.slice(odd.length)
    : objectKey.workspace(repl.owner, repl.id) + path;
}
