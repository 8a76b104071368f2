import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { FileEntry, SaveEntry, SaveSummary } from "../domain/save.ts";
import { stampOf, type Tree } from "./walk.ts";

/** A file of a save, with the stamp that it had on this disk; without one its content has to be looked at. */
export interface KnownFile {
  readonly entry: FileEntry;
  readonly stamp?: string | undefined;
}

/** A file that was stored by a save that did not come to its end. */
interface LooseUpload {
  readonly entry: FileEntry;
  readonly storedAt: number;
}

/**
 * What the sync containers of one pod know of the workspace on its disk, so that a save looks only at what has
 * changed. It can be missing or of another save; then every file is looked at.
 */
export interface KnownTree {
  /** True when the tree on disk is that of this save, to the last stamp. */
  isUnchanged(tree: Tree): boolean;
  /** The save it describes. */
  readonly save: SaveSummary;
  /** Undefined when the list was not written to its end. */
  files(): Map<string, KnownFile> | undefined;
}

const looseForMs = 3600_000;

/** A clock tick: a file that changed within one before it was read may change again with the same times. */
const tickNs = 20_000_000n;

interface SummaryFile {
  readonly save: SaveSummary;
  /** Empty when a file changed so shortly before it was read that its times may not show the next change. */
  readonly stamp: string;
}

interface FilesFile {
  /** Version of the save's manifest: the two files are written one after the other. */
  readonly version: string;
  readonly files: readonly KnownFile[];
}

export function readKnownTree(folder: string): KnownTree | undefined {
  const summary = readJson(`${folder}/tree.json`) as SummaryFile | undefined;
  if (!summary) return undefined;
  return {
    save: summary.save,
    isUnchanged: ({ stamp }) => summary.stamp !== "" && summary.stamp === stamp,
    files: () => {
      const files = readJson(`${folder}/files.json`) as FilesFile | undefined;
      if (files?.version !== summary.save.version) return undefined;
      return new Map(files.files.map((file) => [file.entry.path, file]));
    },
  };
}

/** Notes what a save or a restore has seen. `readAtNs`: a moment before the first file was read. */
export function writeKnownTree(
  folder: string,
  save: SaveSummary,
  tree: Tree,
  entries: readonly SaveEntry[],
  readAtNs: bigint,
): void {
  mkdirSync(folder, { recursive: true });
  const stamps = new Map<string, string>();
  let isSettled = true;
  for (const node of tree.nodes) {
    if (node.type !== "file") continue;
    if (node.ctimeNs + tickNs <= readAtNs) stamps.set(node.path, stampOf(node));
    else isSettled = false;
  }
  const files = entries.flatMap((entry): KnownFile[] =>
    entry.type === "file" ? [{ entry, stamp: stamps.get(entry.path) }] : [],
  );
  writeJson(`${folder}/files.json`, { version: save.version, files } satisfies FilesFile);
  writeJson(`${folder}/tree.json`, { save, stamp: isSettled ? tree.stamp : "" } satisfies SummaryFile);
  writeJson(`${folder}/loose.json`, []);
}

/** What earlier attempts have stored and no save names yet, by path; old ones may be cleaned away at any time. */
export function readLooseUploads(folder: string): Map<string, FileEntry> {
  const loose = (readJson(`${folder}/loose.json`) ?? []) as LooseUpload[];
  return new Map(
    loose.flatMap(({ entry, storedAt }) => (storedAt > Date.now() - looseForMs ? [[entry.path, entry] as const] : [])),
  );
}

export function writeLooseUploads(folder: string, uploads: readonly FileEntry[]): void {
  mkdirSync(folder, { recursive: true });
  const before = (readJson(`${folder}/loose.json`) ?? []) as LooseUpload[];
  const now = uploads.map((entry): LooseUpload => ({ entry, storedAt: Date.now() }));
  writeJson(`${folder}/loose.json`, [...before, ...now]);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** Whole or not at all: whoever writes may be killed, or find the disk full. That costs the next save time, and this one nothing. */
function writeJson(file: string, value: unknown): void {
  try {
    writeFileSync(`${file}.new`, JSON.stringify(value));
    renameSync(`${file}.new`, file);
  } catch {
    rmSync(`${file}.new`, { force: true });
  }
}
