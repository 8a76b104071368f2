import { chmodSync, lstatSync, readdirSync, readlinkSync, realpathSync, type BigIntStats } from "node:fs";
import { createHash } from "node:crypto";
import { encodePath } from "./paths.ts";

/** A path as it is on disk. Sizes and times are those of this moment. */
export type TreeNode = {
  readonly path: string;
  readonly absolute: Buffer;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
} & (
  | {
      readonly type: "file";
      readonly sizeBytes: number;
      readonly inode: bigint;
      readonly links: number;
      readonly isSparse: boolean;
    }
  | { readonly type: "folder" }
  | { readonly type: "link"; readonly target: string }
  | { readonly type: "other" }
);

/** Smaller files may have no blocks for other reasons. */
const sparseFromBytes = 65_536n;
const bytesOfBlock = 512n;

export type FileNode = TreeNode & { type: "file" };

export interface Tree {
  readonly nodes: readonly TreeNode[];
  /** Changes whenever anything of it does. */
  readonly stamp: string;
  /** Gives folders that had to be made readable their own mode back. */
  readonly close: () => void;
}

/** Every path below a folder, parents before children, in the order of their bytes. */
export function walk(workspace: string): Tree {
  // Files are told by their real places when they are opened.
  const root = realpathSync(workspace);
  const nodes: TreeNode[] = [];
  const opened: { readonly folder: Buffer; readonly mode: number }[] = [];
  const hash = createHash("sha256");

  const visit = (folder: Buffer, relative: Buffer, mode: number): void => {
    for (const name of namesIn(folder, mode)) {
      const absolute = Buffer.concat([folder, Buffer.from("/"), name]);
      const path = relative.length === 0 ? name : Buffer.concat([relative, Buffer.from("/"), name]);
      const node = describe(absolute, encodePath(path));
      if (!node) continue;
      nodes.push(node);
      hash.update(`${node.path}\0${stampOf(node)}\n`);
      if (node.type === "folder") visit(absolute, path, node.mode);
    }
  };
  const namesIn = (folder: Buffer, mode: number): Buffer[] => {
    let names: Buffer[];
    try {
      names = readdirSync(folder, { encoding: "buffer" });
    } catch (error) {
      if (isMissing(error)) return [];
      if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
      names = openUp(folder, mode);
    }
    // Listed but not to be entered: its files could not even be looked at.
    if ((mode & 0o100) === 0 && names.length > 0 && process.getuid?.() !== 0) openUp(folder, mode);
    return names.sort(Buffer.compare);
  };
  const openUp = (folder: Buffer, mode: number): Buffer[] => {
    chmodSync(folder, mode | 0o700);
    opened.push({ folder, mode });
    return readdirSync(folder, { encoding: "buffer" });
  };

  visit(Buffer.from(root), Buffer.alloc(0), 0o700);
  const close = () => {
    for (const { folder, mode } of opened.toReversed()) unlessMissing(() => chmodSync(folder, mode));
  };
  return { nodes, stamp: hash.digest("hex"), close };
}

/** Says whether a path is still what it was. A file's inode time moves with every change of it, and nobody can set it. */
export function stampOf(node: TreeNode): string {
  const common = `${node.type}:${node.mode}:${node.mtimeNs}`;
  if (node.type === "file") return `${common}:${node.inode}:${node.sizeBytes}:${node.ctimeNs}`;
  return node.type === "link" ? `${common}:${node.target}` : common;
}

function describe(absolute: Buffer, path: string): TreeNode | undefined {
  const stats = unlessMissing(() => lstatSync(absolute, { bigint: true }));
  return stats && nodeOf(absolute, path, stats);
}

export function nodeOf(absolute: Buffer, path: string, stats: BigIntStats): TreeNode | undefined {
  // On a folder set-gid and sticky say how its files are shared; on a file they would lend somebody's rights.
  const kept = stats.isDirectory() ? 0o3777n : 0o777n;
  const { mtimeNs, ctimeNs } = stats;
  const common = { path, absolute, mode: Number(stats.mode & kept), mtimeNs, ctimeNs };
  if (stats.isFile()) {
    const isSparse = stats.size >= sparseFromBytes && stats.blocks * bytesOfBlock < stats.size;
    const sizes = { sizeBytes: Number(stats.size), isSparse };
    return { ...common, type: "file", ...sizes, inode: stats.ino, links: Number(stats.nlink) };
  }
  if (stats.isDirectory()) return { ...common, type: "folder" };
  if (!stats.isSymbolicLink()) return { ...common, type: "other" };
  const target = unlessMissing(() => readlinkSync(absolute, { encoding: "buffer" }));
  return target && { ...common, type: "link", target: encodePath(target) };
}

/** What was listed a moment ago may be gone. */
export function unlessMissing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}
