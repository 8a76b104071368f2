import { ReplError } from "../domain/errors.ts";
import { partBytes, type FileStore, type StoredObject } from "../domain/ports.ts";
import type { SavedRepl } from "../domain/repl.ts";
import type { FileEntry } from "../domain/save.ts";
import { setTimeout as delay } from "node:timers/promises";
import { hashParts, holdsNothing, openFile, withWhole, storeParts, type OpenFile } from "./file-content.ts";
import { keyOfFile, oddKey } from "./paths.ts";
import { KeepsSavedContent } from "./trouble.ts";
import { clockTickMs, nodeOf, type FileNode } from "./walk.ts";

/** A small file that changes while it is read is read again; after this many times it is taken as it is. Each reading of a big one is an upload. */
const maximumReads = 5;

export type FileContent = Pick<FileEntry, "key" | "version" | "sha256" | "sizeBytes">;

export interface SaveFileOptions {
  readonly store: FileStore;
  readonly record: SavedRepl;
  /** Stored by attempts that did not come to their end, by path. */
  readonly loose: ReadonlyMap<string, FileEntry>;
  readonly onUpload: (entry: FileEntry) => void;
  /** Throws when the save is to make way. */
  readonly giveUp: () => void;
  /** The machine went down since the save before: files that were not on its disk yet have come back empty, or older. */
  readonly isAfterCrash: boolean;
}

export interface SavedFile {
  readonly entry: FileEntry;
  /** As the file was when it was read. */
  readonly node: FileNode;
  /** Reading it has moved its change time; `node` has the one that it has since. */
  readonly isTouched: boolean;
}

/**
 * Stores one file, unless an object with its content is known already: that of the save before, or of a broken
 * attempt. Undefined when it is no file any more. Throws {@link KeepsSavedContent} when a crash seems to have emptied it, or to have taken it back.
 */
export async function saveFile(
  node: FileNode,
  known: FileEntry | undefined,
  options: SaveFileOptions,
): Promise<SavedFile | undefined> {
  const file = openFile(node);
  if (!file) return undefined;
  try {
    // Whoever writes into it from now on moves its change time once more.
    const touchedAtNs = file.wasMadeReadable ? file.stats().ctimeNs : undefined;
    if (file.wasMadeReadable) await delay(clockTickMs);
    if (options.isAfterCrash && known && known.sizeBytes > 0 && (await holdsNothing(file)))
      throw new KeepsSavedContent(
        "it is empty since the machine went down, and it was not before; change it once more to save it as it is",
      );
    if (options.isAfterCrash && known && (await isOlder(node, known, file, options.giveUp)))
      throw new KeepsSavedContent(
        "it is older since the machine went down than what was saved of it; change it once more to save it as it is",
      );
    for (let read = 1; ; read++) {
      const before = nodeOf(node.absolute, node.path, file.stats());
      if (before?.type !== "file") return undefined;
      const content = await storeContent(before, file, known, options);
      const after = nodeOf(node.absolute, node.path, file.stats());
      const rested =
        after?.type === "file" && after.ctimeNs === before.ctimeNs && content.sizeBytes === before.sizeBytes;
      const maximum = before.sizeBytes < partBytes ? maximumReads : 1;
      if (rested || read >= maximum)
        return { entry: fileEntry(before, content), node: before, isTouched: before.ctimeNs === touchedAtNs };
    }
  } finally {
    file.close();
  }
}

/** Its newest content was in a save, and not on the disk yet. */
async function isOlder(node: FileNode, known: FileEntry, file: OpenFile, giveUp: () => void): Promise<boolean> {
  if (node.mtimeNs >= BigInt(known.mtimeNs)) return false;
  return node.sizeBytes !== known.sizeBytes || (await hashParts(file, giveUp)).sha256 !== known.sha256;
}

export function fileEntry(node: FileNode, { key, version, sha256, sizeBytes }: FileContent): FileEntry {
  const { path, mode } = node;
  const sparse = node.holeBytes > 0 ? ({ sparse: true } as const) : {};
  return { type: "file", path, mode, mtimeNs: String(node.mtimeNs), sizeBytes, sha256, key, version, ...sparse };
}

async function storeContent(
  node: FileNode,
  file: OpenFile,
  known: FileEntry | undefined,
  { store, record, loose, onUpload, giveUp }: SaveFileOptions,
): Promise<FileContent> {
  const candidates = [known, loose.get(node.path)].filter((entry) => entry !== undefined);
  const keptAs = (sha256: string) => candidates.find((entry) => entry.sha256 === sha256);
  const noted = (content: FileContent) => {
    onUpload(fileEntry(node, content));
    return content;
  };

  if (node.sizeBytes < partBytes) {
    return withWhole(file, node.sizeBytes, async (bytes, sha256) => {
      const kept = keptAs(sha256);
      if (kept) return kept;
      const stored = await putWhereItFits(record, node, (key) => store.putFile(key, bytes, sha256));
      return noted({ ...stored, sha256, sizeBytes: bytes.byteLength });
    });
  }
  // Reading is cheaper than sending: a big file that may be the same is read once more for it.
  if (candidates.some((entry) => entry.sizeBytes === node.sizeBytes)) {
    const kept = keptAs((await hashParts(file, giveUp)).sha256);
    if (kept) return kept;
  }
  return noted(await putWhereItFits(record, node, (key) => storeParts(store, key, file, giveUp)));
}

/** A store on a file system cannot put a file where a folder's files once were, and some refuse a name: that file goes under its digest. */
async function putWhereItFits<Stored extends StoredObject>(
  record: SavedRepl,
  { path }: FileNode,
  put: (key: string) => Promise<Stored>,
): Promise<Stored & { readonly key: string }> {
  const plain = keyOfFile(record.owner, record.id, path);
  try {
    return { ...(await put(plain)), key: plain };
  } catch (error) {
    if (!(error instanceof ReplError && (error.code === "conflict" || error.code === "invalid"))) throw error;
    const odd = oddKey(record.id, path);
    return { ...(await put(odd)), key: odd };
  }
}
