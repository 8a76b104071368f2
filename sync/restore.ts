import { createHash, hash } from "node:crypto";
import { chmodSync, fchmodSync, linkSync, mkdirSync, symlinkSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import type { SavePlace } from "../domain/commit-save.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { FileStore } from "../domain/ports.ts";
import { readSave } from "../domain/read-save.ts";
import type { Session } from "../domain/repl.ts";
import type { FileEntry, SaveEntry, SaveSummary } from "../domain/save.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { claimFiles } from "./claim.ts";
import { backgroundFromBytes, backgroundWriter, plainWriter, sparseWriter } from "./file-writer.ts";
import { writeKnownTree } from "./known-tree.ts";
import { setTime } from "./native.ts";
import { decodePath } from "./paths.ts";
import { walk } from "./walk.ts";

export interface RestoreOptions {
  readonly root: string;
  /** Where the saves of this pod find what lies on the disk. */
  readonly knownFolder: string;
  /** Names this pod among those of the session. */
  readonly pod: string;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly files: number;
  readonly ofFiles: number;
  readonly bytes: number;
  readonly ofBytes: number;
}

const concurrentDownloads = 32;
/** After any change that a file can show. */
const longAfterNs = 2n ** 64n;

/**
 * Fills an empty folder with the newest save, every file checked by size and SHA-256. Throws when anything
 * is missing or differs, naming the path: a REPL never starts with less than all of its files. May be
 * repeated: what an earlier attempt left is removed first.
 */
export async function restoreWorkspace(
  { store, pointer }: SavePlace,
  session: Session,
  { root, knownFolder, pod, onProgress }: RestoreOptions,
): Promise<SaveSummary> {
  // From here on no other pod of this session can save, so what is read now stays the newest.
  const record = await claimFiles(pointer, session, pod);
  if (!record.lastSave) throw new ReplError("not_found", `${session.replId} has no save to restore`);
  const { entries, files: ofFiles, bytes: ofBytes } = await readSave(store, session.replId, record.lastSave);
  for (const name of await readdir(root)) await rm(`${root}/${name}`, { recursive: true, force: true });

  const place = (path: string) => Buffer.concat([Buffer.from(`${root}/`), decodePath(path)]);
  // Manifests list parents before children.
  for (const entry of entries) if (entry.type === "folder") mkdirSync(place(entry.path), { mode: 0o700 });
  const files = entries.filter((entry) => entry.type === "file");
  const progress = { files: 0, ofFiles, bytes: 0, ofBytes };
  const done = ({ sizeBytes }: FileEntry) => {
    progress.files++;
    progress.bytes += sizeBytes;
    onProgress?.(progress);
  };
  const own = files.filter(({ sameAs }) => sameAs === undefined);
  await mapConcurrently(own, { items: concurrentDownloads }, async (file) => {
    await download(store, file, place(file.path)).catch((error: unknown) => {
      throw new ReplError("unavailable", `${file.path}: ${messageOf(error)}`, { cause: error });
    });
    done(file);
  });
  for (const file of files) {
    if (file.sameAs === undefined) continue;
    linkSync(place(file.sameAs), place(file.path));
    done(file);
  }
  for (const entry of entries) {
    if (entry.type !== "link") continue;
    symlinkSync(decodePath(entry.target), place(entry.path));
    setTime(place(entry.path), BigInt(entry.mtimeNs));
  }
  // Folders last and children first: writing into one changes its time, and a read-only one takes no files.
  for (const entry of entries.toReversed()) {
    if (entry.type !== "folder") continue;
    setTime(place(entry.path), BigInt(entry.mtimeNs));
    chmodSync(place(entry.path), entry.mode);
  }
  noteTree(root, knownFolder, record.lastSave, entries);
  return record.lastSave;
}

/** Nobody else has been here yet, so every file is what its times say. */
function noteTree(root: string, knownFolder: string, save: SaveSummary, entries: readonly SaveEntry[]): void {
  const tree = walk(root);
  tree.close();
  writeKnownTree(knownFolder, save, tree, entries, longAfterNs);
}

async function download(store: FileStore, entry: FileEntry, target: Buffer): Promise<void> {
  const stream = await store.getStream(entry.key, entry.version);
  if (!stream) throw new ReplError("unavailable", `version ${entry.version} of ${entry.key} is missing`);
  // Making files waits for the disk; in the background the others go on.
  const file = await open(target, "wx", 0o600);
  const writer = writerOf(entry)(file);
  try {
    let sizeBytes = 0;
    let sha256: string | undefined;
    const running = createHash("sha256");
    for await (const chunk of stream) {
      await writer.write(chunk);
      if (chunk.byteLength === entry.sizeBytes) sha256 = hash("sha256", chunk);
      else running.update(chunk);
      sizeBytes += chunk.byteLength;
    }
    await writer.end();
    if (sizeBytes !== entry.sizeBytes || (sha256 ?? running.digest("hex")) !== entry.sha256)
      throw new ReplError("unavailable", "the stored bytes are not those that were saved");
    fchmodSync(file.fd, entry.mode);
    setTime(target, BigInt(entry.mtimeNs));
  } finally {
    await file.close();
  }
}

function writerOf({ sparse, sizeBytes }: FileEntry) {
  if (sparse) return sparseWriter;
  return sizeBytes > backgroundFromBytes ? backgroundWriter : plainWriter;
}
