import {
  describeNotSaved,
  sameTree,
  type FileEntry,
  type NotSaved,
  type NotSavedPath,
  type SaveEntry,
  type SaveManifest,
  type SaveReport,
  type SaveSummary,
  type UnsavedWork,
} from "../domain/save.ts";
import type { FileNode, Tree } from "./walk.ts";

/** So many a manifest names; it counts all. */
const maximumPathsNamed = 100;
/** The report is a line of its container's log. */
const maximumMovingReported = 10;
const maximumNotSavedReported = 5;
const maximumTextBytes = 150;

interface Counts {
  readonly uploads: readonly FileEntry[];
  readonly deleted: number;
}

interface Blemishes {
  readonly inMotion?: readonly string[];
  readonly notSaved?: NotSaved | undefined;
  readonly underWay?: readonly FileNode[];
}

export function reportOf(
  summary: SaveSummary,
  tree: Tree,
  { uploads, deleted }: Counts,
  { inMotion = [], notSaved, underWay = [] }: Blemishes,
): SaveReport {
  return {
    ...summary,
    uploaded: uploads.length,
    uploadedBytes: bytesOf(uploads),
    deleted,
    leftOut: pathsWithoutContent(tree).length,
    inMotion: inMotion.slice(0, maximumMovingReported).map(shortened),
    ...(notSaved ? { notSaved: inFew(notSaved) } : {}),
    ...(underWay.length > 0 ? { underWay: { files: underWay.length, bytes: bytesOf(underWay) } } : {}),
  };
}

/** What is at risk still after a save that left something out, or that did not wait for something. */
export function unsavedAfter(
  { notSaved, underWay }: { readonly notSaved?: NotSaved | undefined; readonly underWay?: SaveReport["underWay"] },
  since: string,
): UnsavedWork | undefined {
  if (!notSaved && !underWay) return undefined;
  const reason = describeNotSaved(notSaved && inFew(notSaved));
  const files = (notSaved?.count ?? 0) + (underWay?.files ?? 0);
  return { files, bytes: underWay?.bytes ?? 0, since, ...(reason ? { reason } : {}) };
}

export function notSavedOf(paths: readonly NotSavedPath[]): NotSaved | undefined {
  return paths.length === 0 ? undefined : { count: paths.length, first: paths.slice(0, maximumPathsNamed) };
}

/** As much of it as fits beside other things. */
export function inFew({ count, first }: NotSaved): NotSaved {
  const shown = first.slice(0, maximumNotSavedReported);
  return {
    count,
    first: shown.map(({ path, why, isKept }) => ({ path: shortened(path), why: shortened(why), isKept })),
  };
}

export function pathsWithoutContent({ nodes }: Tree): string[] {
  return nodes.flatMap((node) => (node.type === "other" ? [node.path] : []));
}

/** True when a save holds this tree, and says of it what there is to say. */
export function isSameSave(
  save: SaveManifest | undefined,
  entries: readonly SaveEntry[],
  notSaved: NotSaved | undefined,
): boolean {
  if (!save || !sameTree(save.entries, entries)) return false;
  return JSON.stringify(save.notSaved) === JSON.stringify(notSaved);
}

/** By bytes as JSON writes them: a control character takes six. */
function shortened(text: string): string {
  let [short, step] = [text.slice(0, maximumTextBytes), 16];
  while (Buffer.byteLength(JSON.stringify(short)) > maximumTextBytes) short = short.slice(0, -step);
  return short.toWellFormed();
}

function bytesOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
