import { partBytes } from "../domain/ports.ts";
import type { FileEntry, SaveEntry } from "../domain/save.ts";
import { bytesOfPath, foldersAbove, inOrder, standingAlone } from "../domain/save-paths.ts";
import { hidersIn } from "./kept-entries.ts";
import type { KnownFile } from "./known-tree.ts";
import type { TreeNode } from "./walk.ts";

/** Files that are not there any more; of what cannot be seen nobody knows. */
export function filesGone(nodes: readonly TreeNode[], files: ReadonlyMap<string, KnownFile>): FileEntry[] {
  const types = new Map(nodes.map((node) => [node.path, node.type]));
  const gone = [...files.values()].flatMap(({ entry }) => (types.get(entry.path) === "file" ? [] : [entry]));
  const hiderOf = hidersIn(nodes);
  return gone.filter(({ path }) => hiderOf(path) === undefined);
}

/**
 * The big ones among them, of which a save can say that they are still there. What they held may be what is being
 * uploaded under another name: moved, packed, or added to something.
 */
export function bigFilesGone(nodes: readonly TreeNode[], gone: readonly FileEntry[]): Set<FileEntry> {
  const big = gone.filter(({ sizeBytes }) => sizeBytes >= partBytes);
  if (big.length === 0) return new Set();
  const taken = new Set(nodes.map(({ path }) => bytesOfPath(path)));
  const noFolders = new Set(nodes.flatMap(({ path, type }) => (type === "folder" ? [] : [bytesOfPath(path)])));
  const hasPlace = ({ path }: FileEntry) =>
    !taken.has(bytesOfPath(path)) && foldersAbove(path).every((folder) => !noFolders.has(folder));
  return new Set(big.filter(hasPlace));
}

/** The same save with files that are gone from the disk, and the folders above them as they were before. */
export function withFilesGone(
  entries: readonly SaveEntry[],
  gone: readonly FileEntry[],
  before: readonly SaveEntry[],
): SaveEntry[] {
  const missing = new Set(gone.flatMap(({ path }) => foldersAbove(path)));
  for (const { path } of entries) missing.delete(bytesOfPath(path));
  const folders = before.filter(({ type, path }) => type === "folder" && missing.has(bytesOfPath(path)));
  for (const { path } of folders) missing.delete(bytesOfPath(path));
  // One that no save has had goes with its folders.
  const files = gone.filter(({ path }) => !foldersAbove(path).some((folder) => missing.has(folder)));
  return inOrder([...entries, ...folders, ...files.map(standingAlone)]);
}
