import type { BigIntStats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { encodePath } from "./paths.ts";

/** A path as it is on disk. Sizes and times are those of this moment. */
export type TreeNode = {
  readonly path: string;
  readonly absolute: Buffer;
  readonly mode: number;
  readonly mtimeMs: number;
} & (
  | { readonly type: "file"; readonly sizeBytes: number }
  | { readonly type: "folder" }
  | { readonly type: "link"; readonly target: string }
  | { readonly type: "other" }
);

/** Every path below `root`, parents before children, in the order of their bytes. `prepare` may open up what cannot be read. */
export async function walk(root: string, makeReadable: (folder: Buffer) => Promise<void>): Promise<TreeNode[]> {
  const nodes: TreeNode[] = [];
  const visit = async (folder: Buffer, relative: Buffer): Promise<void> => {
    const names = await readdir(folder, { encoding: "buffer" }).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EACCES") throw error;
      await makeReadable(folder);
      return readdir(folder, { encoding: "buffer" });
    });
    names.sort(Buffer.compare);
    for (const name of names) {
      const absolute = Buffer.concat([folder, Buffer.from("/"), name]);
      const path = relative.length === 0 ? name : Buffer.concat([relative, Buffer.from("/"), name]);
      const node = await describe(absolute, encodePath(path));
      if (!node) continue;
      nodes.push(node);
      if (node.type === "folder") await visit(absolute, path);
    }
  };
  await visit(Buffer.from(root), Buffer.alloc(0));
  return nodes;
}

async function describe(absolute: Buffer, path: string): Promise<TreeNode | undefined> {
  const stats = await lstat(absolute, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!stats) return undefined;
  // On a folder set-gid and sticky say how its files are shared; on a file they would lend somebody's rights.
  const kept = stats.isDirectory() ? 0o3777n : 0o777n;
  const common = { path, absolute, mode: Number(stats.mode & kept), mtimeMs: millisecondsOf(stats) };
  if (stats.isFile()) return { ...common, type: "file", sizeBytes: Number(stats.size) };
  if (stats.isDirectory()) return { ...common, type: "folder" };
  if (stats.isSymbolicLink())
    return { ...common, type: "link", target: encodePath(await readlink(absolute, { encoding: "buffer" })) };
  return { ...common, type: "other" };
}

/** Whole microseconds: what a double holds for today's dates, and what can be set again without loss. */
function millisecondsOf(stats: BigIntStats): number {
  return Number(stats.mtimeNs / 1000n) / 1000;
}
