import { Context } from "@temporalio/activity";
import { commitSave } from "../domain/commit-save.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import { readManifest } from "../domain/read-save.ts";
import { createSavePointer } from "../domain/save-pointer.ts";
import { openSessionOf } from "../domain/repl.ts";
import { sameTree, type FileEntry, type SaveEntry, type SaveSummary } from "../domain/save.ts";
import { findSave } from "../domain/save-history.ts";
import { inOrder, isWithin, withoutLostNames } from "../domain/save-paths.ts";
import { makeWriter } from "./claim-session.ts";
import { ifUnavailable } from "./failure.ts";
import type { RestoreSaveInput } from "./inputs.ts";
import { currentRun } from "./lease.ts";
import type { Ports } from "./ports.ts";

const concurrentCopies = 32;

/**
 * Makes an older save the newest one, whole or one path of it: its files are copied within the store over those
 * that are there now, what it does not have is hidden, and a save of its own is made of it. Whoever was the
 * writer before is so no more. Throws `conflict` while the REPL runs, `not_found` when there is no such save or
 * path. May be repeated: a tree that is as it should be is left alone.
 */
export function createRestoreSave({ store, registry, cluster, directory }: Ports) {
  const place = { store, pointer: createSavePointer(registry) };

  return async ({ replId, owner, sessionId, generation, path }: RestoreSaveInput): Promise<SaveSummary> => {
    const context = Context.current();
    const seen = await registry.read(owner.id, replId);
    if (!seen) throw new ReplError("not_found", "There is no such REPL.");
    if (await cluster.findSession(replId))
      throw new ReplError("conflict", "This REPL is open. Close it first: what is written in it would be lost.");
    if (openSessionOf(seen))
      throw new ReplError(
        "conflict",
        "By the registry this REPL is open. Close it first; the close says what is lost.",
      );
    const record = await registry.update(owner.id, replId, (now) => {
      if (now.failedRun !== undefined && now.failedRun === currentRun())
        throw new ReplError("conflict", "This going back has failed, and was told so, meanwhile.");
      return makeWriter(now, seen, sessionId);
    });
    if (!record.lastSave) throw new ReplError("not_found", "This REPL has no save.");
    const newest = await readManifest(store, replId, record.lastSave.generation, record.lastSave.version);
    if (!newest && path !== undefined)
      throw new ReplError("conflict", "The newest save of this REPL is gone. Go back to a save as a whole.");
    const now = newest?.manifest.entries ?? [];
    const then = (await findSave(store, record, generation)).manifest.entries;
    const wanted = path === undefined ? then : withPath(now, then, path);
    const session = { id: sessionId, replId, userId: owner.id };
    const tell = (lastSave: SaveSummary) =>
      directory.withdraw(session, { repl: { ...record, lastSave } }).catch(ifUnavailable);
    if (newest && sameTree(now, wanted)) {
      // It may be what an attempt has made that could not tell of it.
      await tell(record.lastSave);
      return record.lastSave;
    }

    const current = new Map(now.map((entry) => [entry.path, entry]));
    let copied = 0;
    const entries = await mapConcurrently(wanted, { items: concurrentCopies }, async (entry): Promise<SaveEntry> => {
      const before = current.get(entry.path);
      if (entry.type !== "file" || (before?.type === "file" && before.sha256 === entry.sha256))
        return before?.type === "file" && entry.type === "file"
          ? { ...entry, key: before.key, version: before.version }
          : entry;
      context.heartbeat(++copied);
      return copyBack(entry, replId);
    });
    const files = new Set(entries.flatMap((entry) => (entry.type === "file" ? [entry.key] : [])));
    const gone = now.flatMap((entry) => (entry.type === "file" && !files.has(entry.key) ? [entry.key] : []));
    await store.remove(gone);
    const details = { writer: { session }, kind: "restored", leftOut: [], inMotion: [] } as const;
    const save = await commitSave(place, record, entries, details).catch(async (error: unknown) => {
      const { sessionId: writer, endedSession } = (await registry.read(owner.id, replId)) ?? {};
      const isOurs = writer === sessionId && endedSession !== sessionId;
      if (!(error instanceof ReplError && error.code === "conflict" && isOurs)) throw error;
      // What it has made is found by the next attempt.
      throw new ReplError("unavailable", "Another attempt of this restore was faster.", { cause: error });
    });
    await tell(save);
    return save;
  };

  /** A version of its own: one that was replaced may be cleaned away as soon as no save names it. */
  async function copyBack(entry: FileEntry, replId: string): Promise<FileEntry> {
    try {
      return { ...entry, version: (await store.copy(entry.key, entry.key, entry)).version };
    } catch (error) {
      if (!(error instanceof ReplError && error.code === "conflict")) throw error;
      // The store cannot hold this key beside those that are there now.
      const key = `${objectKey.oddFiles(replId)}${entry.sha256}`;
      return { ...entry, key, version: (await store.copy(entry.key, key, entry)).version };
    }
  }
}

/**
 * The tree of now, with a file or folder as it was then; folders above it that are gone come back too. Hard links are
 * kept within what stays and within what comes back, and lead from neither to the other.
 */
function withPath(now: readonly SaveEntry[], then: readonly SaveEntry[], path: string): SaveEntry[] {
  const restored = then.filter((entry) => isWithin(entry.path, path));
  if (restored.length === 0) throw new ReplError("not_found", `That save has no ${path}.`);
  const kept = now.filter((entry) => !isWithin(entry.path, path));
  const here = new Set(kept.map((entry) => entry.path));
  const blocking = kept.find((entry) => entry.type !== "folder" && isWithin(path, entry.path));
  if (blocking) throw new ReplError("conflict", `${blocking.path} is no folder now; restore that path instead.`);
  const isAbove = (entry: SaveEntry) => isWithin(path, entry.path) && !isWithin(entry.path, path);
  const above = then.filter((entry) => entry.type === "folder" && isAbove(entry) && !here.has(entry.path));
  return inOrder([...withoutLostNames(kept), ...above, ...withoutLostNames(restored)]);
}
