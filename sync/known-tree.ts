import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { partBytes } from "../domain/ports.ts";
import type { FileEntry, NotSaved, SaveEntry, SaveSummary } from "../domain/save.ts";
import { bootId } from "./boot.ts";
import { clockTickMs, identityOf, stampOf, type FileNode, type Tree } from "./walk.ts";

/** A file of a save, with the stamp that it had on this disk; without one its content has to be looked at. */
export interface KnownFile {
  readonly entry: FileEntry;
  readonly stamp?: string | undefined;
  /** Why the entry is not what lies on the disk under that stamp. */
  readonly why?: string | undefined;
  /** Of a big file: by it the file is known when it gets another name. */
  readonly identity?: string | undefined;
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
  /** What of the tree is not in it. */
  readonly notSaved: NotSaved | undefined;
  /** Of the machine, when the tree was seen. */
  readonly boot: string | undefined;
  /** Undefined when the list was not written to its end. */
  files(): Map<string, KnownFile> | undefined;
}

const looseForMs = 3600_000;

/** A clock tick: a file that changed within one before it was read may change again with the same times. */
const tickNs = BigInt(clockTickMs) * 1_000_000n;

interface SummaryFile {
  readonly save: SaveSummary;
  /** Empty when a file changed so shortly before it was read that its times may not show the next change. */
  readonly stamp: string;
  readonly notSaved?: NotSaved | undefined;
  readonly boot?: string | undefined;
}

/** What a save knows of its files beyond their entries. */
export interface SaveNotes {
  /** Why an entry is not what lies on the disk, and will stay so until the file changes. */
  readonly settled: ReadonlyMap<string, string>;
  /** Files to look at again, whatever their stamp. */
  readonly unsettled: ReadonlySet<string>;
  /** Files that were read long enough after their last change. */
  readonly touched: ReadonlySet<string>;
  /** False when the upload of a file goes on. */
  readonly isComplete: boolean;
}

const nothingToNote: SaveNotes = { settled: new Map(), unsettled: new Set(), touched: new Set(), isComplete: true };

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
    notSaved: summary.notSaved,
    boot: summary.boot,
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
  notes: SaveNotes = nothingToNote,
  notSaved?: NotSaved,
): void {
  mkdirSync(folder, { recursive: true });
  const files = knownFiles(tree, entries, readAtNs, notes);
  const isSettled =
    notes.isComplete && tree.nodes.every((node) => node.type !== "file" || isAtRest(node, readAtNs, notes));
  writeJson(`${folder}/files.json`, { version: save.version, files: [...files.values()] } satisfies FilesFile);
  writeJson(`${folder}/tree.json`, {
    save,
    stamp: isSettled ? tree.stamp : "",
    notSaved,
    boot: bootId(),
  } satisfies SummaryFile);
  writeJson(`${folder}/loose.json`, []);
}

/** What a save has read, for the next look: only what changed since then is read again. */
export function knownFiles(
  { nodes }: Tree,
  entries: readonly SaveEntry[],
  readAtNs: bigint,
  notes: SaveNotes,
): Map<string, KnownFile> {
  const stamps = new Map<string, string>();
  const identities = new Map<string, string>();
  for (const node of nodes) {
    if (node.type !== "file") continue;
    if (node.sizeBytes >= partBytes) identities.set(node.path, identityOf(node));
    if (isAtRest(node, readAtNs, notes) && !notes.unsettled.has(node.path)) stamps.set(node.path, stampOf(node));
  }
  const files = entries.filter((entry) => entry.type === "file");
  return new Map(
    files.map((entry) => {
      const { path } = entry;
      const identity = identities.get(path);
      return [path, { entry, stamp: stamps.get(path), why: notes.settled.get(path), identity }];
    }),
  );
}

function isAtRest({ path, ctimeNs }: FileNode, readAtNs: bigint, { touched }: SaveNotes): boolean {
  return ctimeNs + tickNs <= readAtNs || touched.has(path);
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
