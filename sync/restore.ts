import { createHash } from "node:crypto";
import { chmod, lutimes, mkdir, open, readdir, rm, symlink, utimes } from "node:fs/promises";
import { ReplError } from "../domain/errors.ts";
import type { ObjectStore } from "../domain/ports.ts";
import { readRecord, readSave } from "../domain/registry.ts";
import type { Session } from "../domain/repl.ts";
import type { FileEntry, SaveEntry, SaveSummary } from "../domain/save.ts";
import { mapConcurrently } from "./concurrency.ts";
import { decodePath } from "./paths.ts";

const concurrentDownloads = 24;

/**
 * Fills an empty folder with the newest save, every file checked by size and SHA-256. Throws when anything
 * is missing or differs, naming the path: a REPL never starts with less than all of its files. May be
 * repeated: what an earlier attempt left is removed first.
 */
export async function restoreWorkspace(store: ObjectStore, session: Session, root: string): Promise<SaveSummary> {
  const record = await readRecord(store, session.userId, session.replId);
  if (!record?.lastSave) throw new ReplError("not_found", `${session.replId} has no save to restore`);
  if (record.sessionId !== session.id)
    throw new ReplError("conflict", `${session.replId} belongs to another session now`);
  const manifest = await readSave(store, session.replId, record.lastSave);
  for (const name of await readdir(root)) await rm(`${root}/${name}`, { recursive: true, force: true });

  const place = (entry: SaveEntry) => Buffer.concat([Buffer.from(`${root}/`), decodePath(entry.path)]);
  // Manifests list parents before children.
  for (const entry of manifest.entries) if (entry.type === "folder") await mkdir(place(entry), { mode: 0o700 });
  const files = manifest.entries.filter((entry) => entry.type === "file");
  await mapConcurrently(files, concurrentDownloads, (file) => download(store, file, place(file)));
  for (const entry of manifest.entries) {
    if (entry.type !== "link") continue;
    await symlink(decodePath(entry.target), place(entry));
    await lutimes(place(entry), secondsOf(entry), secondsOf(entry));
  }
  // Folders last and children first: writing into one changes its time, and a read-only one takes no files.
  for (const entry of manifest.entries.toReversed()) {
    if (entry.type !== "folder") continue;
    await utimes(place(entry), secondsOf(entry), secondsOf(entry));
    await chmod(place(entry), entry.mode);
  }
  return record.lastSave;
}

/** Node cuts a time to whole microseconds; a little more than the exact time survives the rounding of a double. */
function secondsOf(entry: SaveEntry): number {
  return (entry.mtimeMs + 0.0004) / 1000;
}

async function download(store: ObjectStore, entry: FileEntry, target: Buffer): Promise<void> {
  const stream = await store.getStream(entry.key, entry.version);
  if (!stream) throw new ReplError("unavailable", `${entry.path}: version ${entry.version} of ${entry.key} is missing`);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const file = await open(target, "wx", 0o600);
  try {
    for await (const chunk of stream) {
      hash.update(chunk);
      sizeBytes += chunk.byteLength;
      await file.write(chunk);
    }
    if (sizeBytes !== entry.sizeBytes || hash.digest("hex") !== entry.sha256)
      throw new ReplError("unavailable", `${entry.path}: the stored bytes are not those that were saved`);
    await file.utimes(secondsOf(entry), secondsOf(entry));
    await file.chmod(entry.mode);
  } finally {
    await file.close();
  }
}
