import { mapConcurrently } from "../domain/concurrency.ts";
import { partBytes } from "../domain/ports.ts";
import type { FileEntry, NotSavedPath, SaveEntry } from "../domain/save.ts";
import { standingAlone } from "../domain/save-paths.ts";
import type { BigFile, BigFiles } from "./big-files.ts";
import { keepBefore, refuseDyingDisk } from "./kept-entries.ts";
import type { KnownFile, SaveNotes } from "./known-tree.ts";
import { pathsBeyondLimits } from "./limits.ts";
import { fileEntry, saveFile, type SavedFile, type SaveFileOptions } from "./save-file.ts";
import { troubleOf, type Trouble } from "./trouble.ts";
import { identityOf, stampOf, withNodes, type FileNode, type Tree, type TreeNode } from "./walk.ts";

export interface SaveNodesOptions extends SaveFileOptions {
  readonly concurrentFiles: number;
  readonly maximumHoleBytes: number;
  /** Where big files are uploaded beside the others; without it each is waited for. */
  readonly bigFiles?: BigFiles | undefined;
  /** The entries of the save before. */
  readonly readBefore: () => Promise<readonly SaveEntry[]>;
}

/** What a pass over a tree has saved. */
export interface SavedTree {
  /** As it is after what saving did to it. */
  readonly tree: Tree;
  readonly entries: readonly SaveEntry[];
  readonly notSaved: readonly NotSavedPath[];
  /** Big files whose upload goes on: the entries have what the save before had of them, if anything. */
  readonly underWay: readonly FileNode[];
  readonly notes: SaveNotes;
}

const maximumBytesInMemory = 16 * 1024 * 1024;

/**
 * Stores what is new of a tree. Of a path that cannot be read or stored, what the save before had stays in the save,
 * and it is named; trouble of the store, or of the whole disk, is thrown.
 */
export async function saveNodes(
  tree: Tree,
  files: ReadonlyMap<string, KnownFile>,
  options: SaveNodesOptions,
): Promise<SavedTree> {
  const { concurrentFiles, bigFiles, giveUp } = options;
  const beyondLimits = pathsBeyondLimits(tree.nodes, options.maximumHoleBytes);
  const troubles = new Map<string, Trouble>();
  const asRead = new Map<string, FileNode>();
  const touched = new Set<string>();
  const bigs = new Map<string, BigFile>();
  const underWay: FileNode[] = [];
  const opened = new Map<bigint, Promise<SavedFile | undefined>>();
  const byIdentity = new Map<string, KnownFile>();
  for (const file of files.values()) if (file.identity !== undefined) byIdentity.set(file.identity, file);
  const begunBefore = bigFiles?.count ?? 0;
  let filesRead = 0;

  async function saveNode(node: TreeNode): Promise<SaveEntry | undefined> {
    const { path, mode } = node;
    const mtimeNs = String(node.mtimeNs);
    if (node.type === "folder") return { type: "folder", path, mode, mtimeNs };
    if (node.type === "link") return { type: "link", path, mode, mtimeNs, target: node.target };
    if (node.type !== "file") return undefined;
    const known = files.get(path);
    if (known?.stamp !== undefined && known.stamp === stampOf(node))
      return known.why === undefined ? fileEntry(node, known.entry) : keep(node, { why: known.why, isSettled: true });
    const why = beyondLimits.get(path);
    if (why !== undefined) return keep(node, { why });
    giveUp();
    filesRead++;
    if (!bigFiles || node.sizeBytes < partBytes) return entryFrom(node, saveOnce(node, known?.entry));
    const begun = bigFiles.begin(path, (onUpload) => saveFile(node, known?.entry, { ...options, onUpload }));
    bigs.set(path, begun);
    return undefined;
  }

  /** One that nobody may read is made readable for a moment, which changes it under all of its names: they share one reading. */
  function saveOnce(node: FileNode, known: FileEntry | undefined): Promise<SavedFile | undefined> {
    if (node.links < 2 || (node.mode & 0o400) !== 0) return saveFile(node, known, options);
    const reading = opened.get(node.inode) ?? saveFile(node, known, options);
    opened.set(node.inode, reading);
    return reading.then((saved) => {
      const ownNode = saved && { ...saved.node, path: node.path, absolute: node.absolute };
      return ownNode && { ...saved, node: ownNode, entry: fileEntry(ownNode, saved.entry) };
    });
  }

  async function entryFrom(node: FileNode, saving: Promise<SavedFile | undefined>): Promise<FileEntry | undefined> {
    try {
      const saved = await saving;
      if (!saved?.isTouched) return saved?.entry;
      asRead.set(node.path, saved.node);
      touched.add(node.path);
      return saved.entry;
    } catch (error) {
      return keep(node, troubleOf(error));
    }
  }

  function keep(node: FileNode, trouble: Trouble): FileEntry | undefined {
    troubles.set(node.path, trouble);
    return entryBefore(node);
  }

  /** What the save before had of this very file, under whatever name, or else of its path. */
  function entryBefore(node: FileNode): FileEntry | undefined {
    const before = byIdentity.get(identityOf(node)) ?? files.get(node.path);
    return before && { ...standingAlone(before.entry), path: node.path };
  }

  async function entryOfBig(node: FileNode, { outcome, uploads }: BigFile): Promise<FileEntry | undefined> {
    for (const entry of uploads.splice(0)) options.onUpload(entry);
    // One that was gone when its turn came may be there again, and is asked for once more.
    if (!outcome || "gone" in outcome) {
      underWay.push(node);
      return entryBefore(node);
    }
    if ("error" in outcome) return keep(node, troubleOf(outcome.error));
    // It may have been read before this walk: then the next one shows what has changed since.
    asRead.set(node.path, outcome.saved.node);
    return entryFrom(node, Promise.resolve(outcome.saved));
  }

  const limits = { items: concurrentFiles, weightOf: bytesInMemory, weight: maximumBytesInMemory };
  const saved = await mapConcurrently(tree.nodes, limits, saveNode);
  if (bigFiles && bigs.size > 0) {
    // Those that a save before this one has begun were waited for then.
    if (bigFiles.count > begunBefore) await bigFiles.wait(bigFiles.patienceMs);
    for (const [index, node] of tree.nodes.entries()) {
      const big = bigs.get(node.path);
      if (big && node.type === "file") saved[index] = await entryOfBig(node, big);
    }
  }
  refuseDyingDisk(tree.nodes, troubles, filesRead);
  const { entries, notSaved } = await keepBefore(tree.nodes, withHardLinks(tree.nodes, saved), troubles, options);
  const isSettled = ([, trouble]: readonly [string, Trouble]) => trouble.isSettled === true;
  const settled = new Map([...troubles].filter(isSettled).map(([path, { why }]) => [path, why]));
  const unsettled = new Set(
    [...troubles.keys(), ...underWay.map(({ path }) => path)].filter((path) => !settled.has(path)),
  );
  const notes = { settled, unsettled, touched, isComplete: underWay.length === 0 };
  return { tree: withNodes(tree, asRead), entries, notSaved, underWay, notes };
}

/** Names that share an inode are one file: all but the first say so. */
function withHardLinks(
  nodes: readonly TreeNode[],
  saved: readonly (SaveEntry | undefined)[],
): (SaveEntry | undefined)[] {
  const first = new Map<bigint, FileEntry>();
  return saved.map((entry, index) => {
    const node = nodes[index];
    if (entry?.type !== "file" || node?.type !== "file" || node.links < 2) return entry;
    const other = first.get(node.inode);
    if (!other) first.set(node.inode, entry);
    return other?.sha256 === entry.sha256 ? { ...entry, sameAs: other.path } : entry;
  });
}

/** A file in parts uses all of the memory that there is for it; those that go beside the others count for nothing here. */
function bytesInMemory(node: TreeNode): number {
  if (node.type !== "file") return 0;
  return node.sizeBytes < partBytes ? node.sizeBytes : maximumBytesInMemory;
}
