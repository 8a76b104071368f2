import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, lstat, readFile } from "node:fs/promises";
import { ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { ObjectStore } from "../domain/ports.ts";
import { readRecord, readSave, updateRecord } from "../domain/registry.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";
import {
  sameTree,
  summarize,
  type FileEntry,
  type SaveEntry,
  type SaveManifest,
  type SaveReport,
} from "../domain/save.ts";
import { mapConcurrently } from "./concurrency.ts";
import { keyOfFile, oddKey } from "./paths.ts";
import { walk, type TreeNode } from "./walk.ts";

const concurrentUploads = 16;
/** Bigger files are streamed, so that 16 of any size fit into little memory. */
const maximumBytesInMemory = 1024 * 1024;
/** A file that changes while it is read is read again; after this many times it is taken as not resting. */
const maximumReads = 5;

/**
 * Saves a workspace as the next generation: uploads what changed, writes the manifest, reads it back and
 * moves the record's pointer to it by a conditional write. Until that last write the save before is the
 * newest one. A workspace that equals the newest save is not saved again. Throws `conflict` when the
 * session is no longer the REPL's writer. May be repeated.
 */
export async function saveWorkspace(store: ObjectStore, session: Session, root: string): Promise<SaveReport> {
  const record = await readRecord(store, session.userId, session.replId);
  if (!record) throw new ReplError("not_found", `${session.replId} is not in the registry`);
  requireWriter(record, session);
  const before = record.lastSave ? (await readSave(store, session.replId, record.lastSave)).entries : [];
  const nodes = await walk(root, (folder) => chmod(folder, 0o700));
  const known = new Map(before.flatMap((entry) => (entry.type === "file" ? [[entry.path, entry] as const] : [])));
  const paths = new Map(nodes.map((node) => [node.path, node.type]));

  // A key that must make room comes first: some stores cannot hold "a" and "a/b" at once.
  const deleted = [...known.values()].filter((entry) => paths.get(entry.path) !== "file");
  await store.remove(deleted.map((entry) => entry.key));

  let uploaded = 0;
  const saved = await mapConcurrently(nodes, concurrentUploads, async (node): Promise<SaveEntry | undefined> => {
    const { path, mode, mtimeMs } = node;
    if (node.type === "folder") return { type: "folder", path, mode, mtimeMs };
    if (node.type === "link") return { type: "link", path, mode, mtimeMs, target: node.target };
    if (node.type === "other") return undefined;
    return saveFile(store, record, node, known.get(path), () => uploaded++);
  });
  const entries = saved.filter((entry) => entry !== undefined);
  const leftOut = nodes.flatMap((node) => (node.type === "other" ? [node.path] : []));

  if (record.lastSave && sameTree(before, entries)) return { ...record.lastSave, uploaded, deleted: 0 };
  const manifest: SaveManifest = {
    format: 1,
    replId: session.replId,
    generation: (record.lastSave?.generation ?? 0) + 1,
    sessionId: session.id,
    createdAt: new Date().toISOString(),
    entries,
    leftOut,
  };
  const summary = summarize(manifest, await writeManifest(store, manifest));
  await updateRecord(store, session.userId, session.replId, (current) => {
    requireWriter(current, session);
    if ((current.lastSave?.generation ?? 0) !== manifest.generation - 1)
      throw new ReplError("conflict", `save ${manifest.generation} of ${session.replId} was made by somebody else`);
    return { ...current, lastSave: summary };
  });
  return { ...summary, uploaded, deleted: deleted.length };
}

function requireWriter(record: ReplRecord, session: Session): void {
  if (record.sessionId !== session.id)
    throw new ReplError("conflict", `${session.replId} belongs to another session now`);
}

/** A manifest left by an attempt that died before it moved the pointer is nobody's, and is replaced. */
async function writeManifest(store: ObjectStore, manifest: SaveManifest): Promise<string> {
  const key = objectKey.save(manifest.replId, manifest.generation);
  const text = JSON.stringify(manifest);
  const written = await store.putText(key, text);
  const readBack = await store.getText(key, written.version);
  if (readBack?.text !== text) throw new ReplError("unavailable", `${key} does not read back as it was written`);
  return written.version;
}

async function saveFile(
  store: ObjectStore,
  record: ReplRecord,
  node: TreeNode & { type: "file" },
  known: FileEntry | undefined,
  onUpload: () => void,
): Promise<FileEntry | undefined> {
  for (let read = 1; ; read++) {
    const before = await lstat(node.absolute).catch(ignoreMissing);
    if (!before?.isFile()) return undefined;
    try {
      const content = await readContent(node.absolute, before.size);
      const after = await lstat(node.absolute).catch(ignoreMissing);
      if (!after) return undefined;
      const rested =
        after.mtimeMs === before.mtimeMs && after.size === before.size && content.sizeBytes === before.size;
      if (!rested && read < maximumReads) continue;
      const entry = {
        type: "file",
        path: node.path,
        mode: node.mode,
        mtimeMs: read === 1 ? node.mtimeMs : Math.floor(before.mtimeMs * 1000) / 1000,
        sizeBytes: content.sizeBytes,
        sha256: content.sha256,
      } as const;
      if (known?.sha256 === content.sha256 && known.sizeBytes === content.sizeBytes) {
        return { ...entry, key: known.key, version: known.version };
      }
      const stored = await storeFile(store, record, node.path, content);
      onUpload();
      return { ...entry, ...stored };
    } catch (error) {
      // A streamed file that changed after it was hashed is refused by the store's own check.
      if (read >= maximumReads) throw error;
      if ((error as NodeJS.ErrnoException).code === "EACCES") await chmod(node.absolute, node.mode | 0o400);
    }
  }
}

/** A store on a file system cannot put a file where a folder's files once were: that file goes under its digest. */
async function storeFile(
  store: ObjectStore,
  record: ReplRecord,
  path: string,
  content: Content,
): Promise<{ key: string; version: string }> {
  const key = keyOfFile(record.owner, record.id, path);
  try {
    return { key, version: (await store.putFile(key, content.body, content.sha256)).version };
  } catch (error) {
    if (!(error instanceof ReplError && error.code === "conflict")) throw error;
    const other = oddKey(record.id, path);
    return { key: other, version: (await store.putFile(other, content.body, content.sha256)).version };
  }
}

interface Content {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly body: Uint8Array | { sizeBytes: number; open: () => NodeJS.ReadableStream };
}

async function readContent(path: Buffer, sizeBytes: number): Promise<Content> {
  if (sizeBytes <= maximumBytesInMemory) {
    const body = await readFile(path);
    return { body, sizeBytes: body.byteLength, sha256: createHash("sha256").update(body).digest("hex") };
  }
  const hash = createHash("sha256");
  let hashed = 0;
  for await (const chunk of createReadStream(path, { end: sizeBytes - 1 })) {
    hash.update(chunk as Buffer);
    hashed += (chunk as Buffer).byteLength;
  }
  return {
    sizeBytes: hashed,
    sha256: hash.digest("hex"),
    body: { sizeBytes: hashed, open: () => createReadStream(path, { end: sizeBytes - 1 }) },
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
