import { chmodSync, lstatSync, readdirSync, readlinkSync, realpathSync, type BigIntStats } from "node:fs";
import { createHash } from "node:crypto";
import { encodePath } from "./paths.ts";
import { troubleOf, type Trouble } from "./trouble.ts";

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
      readonly bornNs: bigint;
      readonly links: number;
      /** Zeros that take no room on the disk. */
      readonly holeBytes: number;
    }
  /** With trouble when what is in it cannot be listed. */
  | { readonly type: "folder"; readonly trouble?: Trouble }
  | { readonly type: "link"; readonly target: string }
  /** A socket, a FIFO or a device. */
  | { readonly type: "other" }
  /** There is something, and nobody can tell what. */
  | { readonly type: "unreadable"; readonly trouble: Trouble }
);

/** Smaller files may have no blocks for other reasons. */
const sparseFromBytes = 65_536n;
const bytesOfBlock = 512n;

/** More than the kernel's clock takes for a step: two changes of a file within one have the same times. */
export const clockTickMs = 20;

export type FileNode = TreeNode & { type: "file" };

export interface Tree {
  readonly nodes: readonly TreeNode[];
  /** Changes whenever anything of it does. */
  readonly stamp: string;
  /** Gives folders that had to be made readable their own mode back. May be repeated. */
  readonly close: () => void;
}

const openedMode = (mode: number) => mode | 0o700;
/** Names of files that the runner has for a moment (runner/replace-file.ts). */
const temporary = /^\.[0-9a-f]{12}\.devex-tmp$/;

/**
 * Every path below a folder, parents before children, in the order of their bytes. What cannot be looked at is
 * among them, with the trouble that there is; only trouble of the machine, or of the folder itself, is thrown.
 */
export function walk(workspace: string): Tree {
  // Files are told by their real places when they are opened.
  const root = realpathSync(workspace);
  const nodes: TreeNode[] = [];
  const opened: { readonly folder: Buffer; readonly mode: number }[] = [];
  const hash = createHash("sha256");

  const visit = (folder: Buffer, relative: Buffer, names: readonly Buffer[]): void => {
    for (const name of names) {
      const absolute = Buffer.concat([folder, Buffer.from("/"), name]);
      const path = relative.length === 0 ? name : Buffer.concat([relative, Buffer.from("/"), name]);
      const found = describe(absolute, encodePath(path));
      if (!found) continue;
      const { node, names: below } = found.type === "folder" ? lookInto(found) : { node: withoutUpload(found, name) };
      nodes.push(node);
      hash.update(lineOf(node));
      if (below) visit(absolute, path, below);
    }
  };
  const lookInto = (node: TreeNode & { type: "folder" }): { node: TreeNode; names?: readonly Buffer[] } => {
    try {
      return { node, names: namesIn(node.absolute, node.mode) };
    } catch (error) {
      return { node: { ...node, trouble: troubleOf(error) } };
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
    if ((mode & 0o100) === 0 && names.length > 0 && process.geteuid?.() !== 0) openUp(folder, mode);
    return names.sort(Buffer.compare);
  };
  const openUp = (folder: Buffer, mode: number): Buffer[] => {
    chmodSync(folder, openedMode(mode));
    opened.push({ folder, mode });
    return readdirSync(folder, { encoding: "buffer" });
  };

  const close = () => {
    for (const { folder, mode } of opened.splice(0).toReversed()) {
      try {
        // What somebody has set meanwhile stays.
        if ((lstatSync(folder).mode & 0o3777) === openedMode(mode)) chmodSync(folder, mode);
      } catch {
        // It is gone, or nobody's business any more.
      }
    }
  };
  try {
    visit(Buffer.from(root), Buffer.alloc(0), namesIn(Buffer.from(root), 0o700));
  } catch (error) {
    close();
    throw error;
  }
  return { nodes, stamp: hash.digest("hex"), close };
}

/** The tree as it is now that some of its files were touched by whoever looked at them. */
export function withNodes(tree: Tree, touched: ReadonlyMap<string, TreeNode>): Tree {
  if (touched.size === 0) return tree;
  const nodes = tree.nodes.map((node) => touched.get(node.path) ?? node);
  const hash = createHash("sha256");
  for (const node of nodes) hash.update(lineOf(node));
  return { ...tree, nodes, stamp: hash.digest("hex") };
}

function lineOf(node: TreeNode): string {
  // A path, or a target, may hold every other character.
  return `${node.path}\0${stampOf(node)}\0`;
}

/** Says whether a path is still what it was. A file's inode time moves with every change of it, and nobody can set it. */
export function stampOf(node: TreeNode): string {
  const common = `${node.type}:${node.mode}:${node.mtimeNs}`;
  if (node.type === "file") return `${common}:${node.inode}:${node.sizeBytes}:${node.ctimeNs}`;
  if (node.type === "link") return `${common}:${node.target}`;
  return "trouble" in node ? `${common}:${node.trouble?.why}` : common;
}

/** Tells a file under whatever name: an inode is used again, but not born again. */
export function identityOf({ inode, bornNs }: FileNode): string {
  return `${inode}:${bornNs}`;
}

/** A file of the runner's is left out as a socket is, and however it grows the tree rests. A folder of such a name is a person's. */
function withoutUpload(node: TreeNode, name: Buffer): TreeNode {
  if (node.type !== "file" || !temporary.test(name.toString("latin1"))) return node;
  return { type: "other", path: node.path, absolute: node.absolute, mode: 0, mtimeNs: 0n, ctimeNs: 0n };
}

function describe(absolute: Buffer, path: string): TreeNode | undefined {
  try {
    const stats = unlessMissing(() => lstatSync(absolute, { bigint: true }));
    return stats && nodeOf(absolute, path, stats);
  } catch (error) {
    const trouble = troubleOf(error);
    return { type: "unreadable", path, absolute, mode: 0, mtimeNs: 0n, ctimeNs: 0n, trouble };
  }
}

export function nodeOf(absolute: Buffer, path: string, stats: BigIntStats): TreeNode | undefined {
  // On a folder set-gid and sticky say how its files are shared; on a file they would lend somebody's rights.
  const kept = stats.isDirectory() ? 0o3777n : 0o777n;
  const { mtimeNs, ctimeNs } = stats;
  const common = { path, absolute, mode: Number(stats.mode & kept), mtimeNs, ctimeNs };
  if (stats.isFile()) {
    const onDisk = stats.blocks * bytesOfBlock;
    const holeBytes = stats.size >= sparseFromBytes && onDisk < stats.size ? Number(stats.size - onDisk) : 0;
    const sizes = { sizeBytes: Number(stats.size), holeBytes };
    return {
      ...common,
      type: "file",
      ...sizes,
      inode: stats.ino,
      bornNs: stats.birthtimeNs,
      links: Number(stats.nlink),
    };
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
