import { ReplError } from "../domain/errors.ts";
import type { NotSavedPath, SaveEntry } from "../domain/save.ts";
import { bytesOfPath, foldersAbove, withoutLostNames } from "../domain/save-paths.ts";
import type { Trouble } from "./trouble.ts";
import type { TreeNode } from "./walk.ts";

/** Up to so many it is the paths' trouble; with more, and for most of what was read, it is the whole disk's. */
const maximumDiskTroubles = 10;

/** Throws `unavailable` when the disk fails most of what was asked of it: then nothing that it says is to be believed. */
export function refuseDyingDisk(
  nodes: readonly TreeNode[],
  troubles: ReadonlyMap<string, Trouble>,
  filesRead: number,
): void {
  const inWalk = nodes.flatMap((node) => ("trouble" in node && node.trouble ? [node.trouble] : []));
  const failed = [...inWalk, ...troubles.values()].filter(({ isOfDisk }) => isOfDisk).length;
  if (failed > maximumDiskTroubles && failed * 2 > filesRead + inWalk.length)
    throw new ReplError("unavailable", `the disk fails: ${failed} paths of the workspace cannot be read`);
}

/** Adds what the save before had of paths that could not be read, and names those. */
export async function keepBefore(
  nodes: readonly TreeNode[],
  saved: readonly (SaveEntry | undefined)[],
  troubles: ReadonlyMap<string, Trouble>,
  { readBefore }: { readonly readBefore: () => Promise<readonly SaveEntry[]> },
): Promise<{ readonly entries: SaveEntry[]; readonly notSaved: NotSavedPath[] }> {
  const hidden = await entriesHidden(nodes, readBefore);
  const notSaved: NotSavedPath[] = [];
  const entries: SaveEntry[] = [];
  for (const [index, node] of nodes.entries()) {
    const { path } = node;
    const entry = saved[index];
    const kept = hidden.get(path) ?? [];
    if (entry) entries.push(entry);
    for (const one of kept) entries.push(one);
    const trouble = "trouble" in node ? node.trouble : troubles.get(path);
    if (trouble) notSaved.push({ path, why: trouble.why, isKept: kept.length > 0 || entry?.type === "file" });
  }
  return { entries: hidden.size > 0 ? withoutLostNames(entries) : entries, notSaved };
}

/** The entries of the save before that cannot be seen now, by the path that hides them. */
async function entriesHidden(
  nodes: readonly TreeNode[],
  readBefore: () => Promise<readonly SaveEntry[]>,
): Promise<Map<string, SaveEntry[]>> {
  const hidden = new Map<string, SaveEntry[]>();
  if (!nodes.some(isUnseen)) return hidden;
  const hiderOf = hidersIn(nodes);
  for (const entry of await readBefore()) {
    const hider = hiderOf(entry.path);
    if (hider === undefined) continue;
    const others = hidden.get(hider);
    if (others) others.push(entry);
    else hidden.set(hider, [entry]);
  }
  return hidden;
}

/** Tells by which path another one is hidden, if by any: what cannot be looked at may be a folder, with anything in it. */
export function hidersIn(nodes: readonly TreeNode[]): (path: string) => string | undefined {
  const unseen = new Map(nodes.filter(isUnseen).map((node) => [bytesOfPath(node.path), node]));
  return (path) => {
    if (unseen.size === 0) return undefined;
    const itself = unseen.get(bytesOfPath(path));
    if (itself?.type === "unreadable") return itself.path;
    const above = foldersAbove(path).find((folder) => unseen.has(folder));
    return above === undefined ? undefined : unseen.get(above)?.path;
  };
}

function isUnseen(node: TreeNode): boolean {
  return "trouble" in node && node.trouble !== undefined;
}
