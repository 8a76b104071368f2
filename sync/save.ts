import { existsSync } from "node:fs";
import { commitSave, type SavePlace } from "../domain/commit-save.ts";
import { ReplError } from "../domain/errors.ts";
import { partBytes } from "../domain/ports.ts";
import { readSave } from "../domain/read-save.ts";
import type { Session } from "../domain/repl.ts";
import {
  sameTree,
  type FileEntry,
  type SaveEntry,
  type SaveKind,
  type SaveReport,
  type SaveSummary,
} from "../domain/save.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { readKnownTree, readLooseUploads, writeKnownTree, writeLooseUploads, type KnownFile } from "./known-tree.ts";
import { fileEntry, saveFile } from "./save-file.ts";
import { stampOf, walk, type Tree, type TreeNode } from "./walk.ts";

export interface SaveOptions {
  readonly root: string;
  /** Where this pod's sync containers keep what they know of the files. */
  readonly knownFolder: string;
  /** Names this pod among those of the session. */
  readonly pod: string;
  readonly kind: SaveKind;
  readonly concurrentFiles?: number;
  /** While this path exists a save gives up; nothing of it is visible then. */
  readonly giveUpMarker?: string;
  /** Hears what is to be saved, before it is. */
  readonly onUnsaved?: (unsaved: { readonly files: number; readonly bytes: number }) => void;
}

const standardConcurrentFiles = 24;
const maximumBytesInMemory = 16 * 1024 * 1024;
/** A tree that changes while it is saved is walked again for what changed. */
const maximumPasses = 3;
const maximumPathsReported = 10;
const maximumPathShown = 150;

/**
 * Saves a workspace: stores what changed, writes the manifest, reads it back and moves the record's pointer to
 * it by a conditional write. Until that last write the save before is the newest one. A workspace that equals
 * the newest save is not saved again. Throws `conflict` when the session is not the REPL's writer (any more).
 * May be repeated: what an attempt has stored the next one does not store again.
 */
export async function saveWorkspace(place: SavePlace, session: Session, options: SaveOptions): Promise<SaveReport> {
  const { root, knownFolder, pod, kind, concurrentFiles = standardConcurrentFiles } = options;
  const { store } = place;
  const writer = { session, pod };
  const record = await place.pointer.read(writer);
  const { lastSave } = record;
  const uploads: FileEntry[] = [];
  const loose = readLooseUploads(knownFolder);
  const fileOptions = { store, record, loose, onUpload: (entry: FileEntry) => void uploads.push(entry) };
  let deleted = 0;

  /** Stores what is new of one walk, and hides what is gone. */
  async function savePass(tree: Tree, files: ReadonlyMap<string, KnownFile>): Promise<SaveEntry[]> {
    const types = new Map(tree.nodes.map((node) => [node.path, node.type]));
    const gone = [...files.values()].filter(({ entry }) => types.get(entry.path) !== "file");
    giveUpIfTold(options);
    // A key that must make room comes first: some stores cannot hold "a" and "a/b" at once.
    await store.remove(gone.map(({ entry }) => entry.key));
    deleted += gone.length;
    const limits = { items: concurrentFiles, weightOf: bytesInMemory, weight: maximumBytesInMemory };
    const saved = await mapConcurrently(tree.nodes, limits, (node) => saveNode(node, files.get(node.path)));
    return withHardLinks(tree, saved);
  }

  async function saveNode(node: TreeNode, known: KnownFile | undefined): Promise<SaveEntry | undefined> {
    const { path, mode } = node;
    const mtimeNs = String(node.mtimeNs);
    if (node.type === "folder") return { type: "folder", path, mode, mtimeNs };
    if (node.type === "link") return { type: "link", path, mode, mtimeNs, target: node.target };
    if (node.type === "other") return undefined;
    if (known?.stamp !== undefined && known.stamp === stampOf(node)) return fileEntry(node, known.entry);
    giveUpIfTold(options);
    return saveFile(node, known?.entry, fileOptions);
  }

  const report = (summary: SaveSummary, leftOut: number, inMotion: readonly string[]): SaveReport => ({
    ...summary,
    uploaded: uploads.length,
    uploadedBytes: uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    deleted,
    leftOut,
    inMotion: inMotion.slice(0, maximumPathsReported).map((path) => path.slice(0, maximumPathShown)),
  });

  const known = readKnownTree(knownFolder);
  const isCurrent = known !== undefined && known.save.version === lastSave?.version;
  let readAtNs = nanosecondsNow();
  let tree = walk(root);
  if (isCurrent && lastSave && known.isUnchanged(tree)) {
    tree.close();
    return report(lastSave, 0, []);
  }
  let before: readonly SaveEntry[] | undefined;
  const readBefore = async () => (before ??= lastSave ? (await readSave(store, session.replId, lastSave)).entries : []);
  let files = isCurrent ? known.files() : undefined;
  files ??= filesOf(await readBefore());
  options.onUnsaved?.(changesIn(tree, files));

  try {
    for (let pass = 1; ; pass++) {
      const entries = await savePass(tree, files).finally(tree.close);
      const readAgainAtNs = nanosecondsNow();
      const again = walk(root);
      const inMotion = again.stamp === tree.stamp ? [] : pathsThatDiffer(tree, again);
      if (inMotion.length > 0 && pass < maximumPasses) {
        files = withStamps(entries, tree);
        readAtNs = readAgainAtNs;
        tree = again;
        continue;
      }
      again.close();
      const leftOut = tree.nodes.flatMap((node) => (node.type === "other" ? [node.path] : []));
      giveUpIfTold(options);
      const mayBeSame = lastSave && uploads.length + deleted + inMotion.length === 0;
      const summary =
        mayBeSame && sameTree(await readBefore(), entries)
          ? lastSave
          : await commitSave(place, record, entries, { writer, kind, leftOut, inMotion });
      writeKnownTree(knownFolder, summary, tree, entries, readAtNs);
      return report(summary, leftOut.length, inMotion);
    }
  } catch (error) {
    writeLooseUploads(knownFolder, uploads);
    throw error;
  }
}

/** True when the tree on disk is that of the newest save that this pod knows of; nobody is asked. */
export function isSaved({ root, knownFolder }: Pick<SaveOptions, "root" | "knownFolder">): boolean {
  const known = readKnownTree(knownFolder);
  if (!known) return false;
  const tree = walk(root);
  tree.close();
  return known.isUnchanged(tree);
}

function giveUpIfTold({ giveUpMarker }: SaveOptions): void {
  if (giveUpMarker && existsSync(giveUpMarker)) throw new ReplError("unavailable", "told to make way for another save");
}

/** Names that share an inode are one file: all but the first say so. */
function withHardLinks(tree: Tree, saved: readonly (SaveEntry | undefined)[]): SaveEntry[] {
  const first = new Map<bigint, FileEntry>();
  return saved.flatMap((entry, index): SaveEntry[] => {
    const node = tree.nodes[index];
    if (!entry) return [];
    if (entry.type !== "file" || node?.type !== "file" || node.links < 2) return [entry];
    const other = first.get(node.inode);
    if (!other) first.set(node.inode, entry);
    return [other?.sha256 === entry.sha256 ? { ...entry, sameAs: other.path } : entry];
  });
}

function filesOf(entries: readonly SaveEntry[]): Map<string, KnownFile> {
  return new Map(entries.flatMap((entry) => (entry.type === "file" ? [[entry.path, { entry }] as const] : [])));
}

/** What a pass has read, for the next one: only what changed since its walk is looked at again. */
function withStamps(entries: readonly SaveEntry[], tree: Tree): Map<string, KnownFile> {
  const stamps = stampsOf(tree);
  return new Map([...filesOf(entries)].map(([path, { entry }]) => [path, { entry, stamp: stamps.get(path) }]));
}

function stampsOf({ nodes }: Tree): Map<string, string> {
  return new Map(nodes.map((node) => [node.path, stampOf(node)]));
}

function pathsThatDiffer(a: Tree, b: Tree): string[] {
  const [before, after] = [stampsOf(a), stampsOf(b)];
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path));
}

function changesIn(tree: Tree, files: ReadonlyMap<string, KnownFile>): { files: number; bytes: number } {
  const changed = tree.nodes
    .filter((node) => node.type === "file")
    .filter((node) => files.get(node.path)?.stamp !== stampOf(node));
  return { files: changed.length, bytes: changed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** A file in parts uses all of the memory that there is for it. */
function bytesInMemory(node: TreeNode): number {
  if (node.type !== "file") return 0;
  return node.sizeBytes < partBytes ? node.sizeBytes : maximumBytesInMemory;
}

function nanosecondsNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
