import { ReplError } from "../domain/errors.ts";
import { partBytes, type FileStore, type StoredObject } from "../domain/ports.ts";
import type { SavedRepl } from "../domain/repl.ts";
import type { FileEntry } from "../domain/save.ts";
import { hashParts, openFile, withWhole, storeParts, type OpenFile } from "./file-content.ts";
import { keyOfFile, oddKey } from "./paths.ts";
import { nodeOf, type FileNode } from "./walk.ts";

/** A file that changes while it is read is read again; after this many times it is taken as it is. */
const maximumReads = 5;
/** Each reading of a big one is an upload. */
const maximumReadsOfBig = 2;

export type FileContent = Pick<FileEntry, "key" | "version" | "sha256" | "sizeBytes">;

export interface SaveFileOptions {
  readonly store: FileStore;
  readonly record: SavedRepl;
  /** Stored by attempts that did not come to their end, by path. */
  readonly loose: ReadonlyMap<string, FileEntry>;
  readonly onUpload: (entry: FileEntry) => void;
}

/**
 * Stores one file, unless an object with its content is known already: that of the save before, or of a broken
 * attempt. Undefined when it is no file any more.
 */
export async function saveFile(
  node: FileNode,
  known: FileEntry | undefined,
  options: SaveFileOptions,
): Promise<FileEntry | undefined> {
  const file = openFile(node);
  if (!file) return undefined;
  try {
    const maximum = node.sizeBytes < partBytes ? maximumReads : maximumReadsOfBig;
    for (let read = 1; ; read++) {
      const before = nodeOf(node.absolute, node.path, file.stats());
      if (before?.type !== "file") return undefined;
      const content = await storeContent(before, file, known, options);
      const after = nodeOf(node.absolute, node.path, file.stats());
      const rested =
        after?.type === "file" && after.ctimeNs === before.ctimeNs && content.sizeBytes === before.sizeBytes;
      if (rested || read >= maximum) return fileEntry(before, content);
    }
  } finally {
    file.close();
  }
}

export function fileEntry(node: FileNode, { key, version, sha256, sizeBytes }: FileContent): FileEntry {
  const { path, mode } = node;
  const sparse = node.isSparse ? ({ sparse: true } as const) : {};
  return { type: "file", path, mode, mtimeNs: String(node.mtimeNs), sizeBytes, sha256, key, version, ...sparse };
}

async function storeContent(
  node: FileNode,
  file: OpenFile,
  known: FileEntry | undefined,
  { store, record, loose, onUpload }: SaveFileOptions,
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
    const kept = keptAs((await hashParts(file)).sha256);
    if (kept) return kept;
  }
  return noted(await putWhereItFits(record, node, (key) => storeParts(store, key, file)));
}

/** A store on a file system cannot put a file where a folder's files once were: that file goes under its digest. */
async function putWhereItFits<Stored extends StoredObject>(
  record: SavedRepl,
  { path }: FileNode,
  put: (key: string) => Promise<Stored>,
): Promise<Stored & { readonly key: string }> {
  const plain = keyOfFile(record.owner, record.id, path);
  try {
    return { ...(await put(plain)), key: plain };
  } catch (error) {
    if (!(error instanceof ReplError && error.code === "conflict")) throw error;
    const odd = oddKey(record.id, path);
    return { ...(await put(odd)), key: odd };
  }
}
