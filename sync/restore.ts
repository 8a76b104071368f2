import { chmodSync, linkSync, mkdirSync, symlinkSync } from "node:fs";
import type { SavePlace } from "../domain/commit-save.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { readSave } from "../domain/read-save.ts";
import type { SavePointer } from "../domain/ports.ts";
import type { Session } from "../domain/repl.ts";
import type { FileEntry, SaveEntry, SaveSummary } from "../domain/save.ts";
import { inOrder, withoutLostNames } from "../domain/save-paths.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { claimFiles } from "./claim.ts";
import { download, standardPatience, type Patience } from "./download.ts";
import { readKnownTree, writeKnownTree } from "./known-tree.ts";
import { clearForSave, keepIfSame } from "./leftovers.ts";
import { setTime } from "./native.ts";
import { decodePath } from "./paths.ts";
import { walk } from "./walk.ts";

export interface RestoreOptions {
  readonly root: string;
  /** Where the saves of this pod find what lies on the disk. */
  readonly knownFolder: string;
  /** Names this pod among those of the session. */
  readonly pod: string;
  readonly patience?: Patience;
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
 * is missing or differs, naming the path: a REPL never starts with less than all of its files. A file
 * that does not come whole is asked for again. May be repeated: of what an earlier attempt left, whole files are kept.
 */
export async function restoreWorkspace(
  { store, pointer }: SavePlace,
  session: Session,
  { root, knownFolder, pod, patience = standardPatience, onProgress }: RestoreOptions,
): Promise<SaveSummary> {
  // From here on no other pod of this session can save, so what is read now stays the newest.
  const record = await claimFiles(pointer, session, pod);
  if (!record.lastSave) throw new ReplError("not_found", `${session.replId} has no save to restore`);
  const { files: ofFiles, bytes: ofBytes, ...manifest } = await readSave(store, session.replId, record.lastSave);
  // A link that is not to the file it was saved as would be another file; each name can be fetched by itself.
  const entries = withoutLostNames(manifest.entries);
  const folders = inOrder(entries.filter((entry) => entry.type === "folder"));
  const leftovers = clearForSave(Buffer.from(root), entries);

  const place = (path: string) => Buffer.concat([Buffer.from(`${root}/`), decodePath(path)]);
  for (const { path } of folders) if (!leftovers.folders.has(path)) mkdirSync(place(path), { mode: 0o700 });
  const files = entries.filter((entry) => entry.type === "file");
  const progress = { files: 0, ofFiles, bytes: 0, ofBytes };
  const done = ({ sizeBytes }: FileEntry) => {
    progress.files++;
    progress.bytes += sizeBytes;
    onProgress?.(progress);
  };
  const own = files.filter(({ sameAs }) => sameAs === undefined);
  await mapConcurrently(own, { items: concurrentDownloads }, async (file) => {
    const target = place(file.path);
    if (!leftovers.files.has(file.path) || !(await keepIfSame(file, target)))
      await download(store, file, target, patience).catch((error: unknown) => {
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
  for (const entry of folders.toReversed()) {
    setTime(place(entry.path), BigInt(entry.mtimeNs));
    chmodSync(place(entry.path), entry.mode);
  }
  noteTree(root, knownFolder, record.lastSave, entries);
  // Before anybody is let in: what is written from now on may be lost with the pod.
  await pointer.filled({ session, pod });
  return record.lastSave;
}

/**
 * Makes a pod that has handed over the holder of its files again. False where another pod's save is the newest now, which
 * is to be restored. Throws `unavailable` while another pod holds them. Idempotent.
 */
export async function holdAgain(
  pointer: SavePointer,
  session: Session,
  { pod, knownFolder }: Pick<RestoreOptions, "pod" | "knownFolder">,
): Promise<boolean> {
  const claimed = await pointer.claimWhenFree(session, pod);
  if ("heldBy" in claimed) throw new ReplError("unavailable", `${claimed.heldBy} holds the files now`);
  const { lastSave } = claimed;
  if (!lastSave || readKnownTree(knownFolder)?.save.version !== lastSave.version) return false;
  await pointer.filled({ session, pod });
  return true;
}

/** Nobody else has been here yet, so every file is what its times say. */
function noteTree(root: string, knownFolder: string, save: SaveSummary, entries: readonly SaveEntry[]): void {
  const tree = walk(root);
  tree.close();
  writeKnownTree(knownFolder, save, tree, entries, longAfterNs);
}
