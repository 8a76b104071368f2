/**
 * A save: an immutable manifest of every path of a workspace. A file's bytes are one version of one object,
 * named exactly, so that a save is all or nothing and an older one can be opened again. docs/saves.md explains
 * the format to somebody who wants to read it with other tools.
 */
export interface SaveManifest extends SaveHeader {
  readonly entries: readonly SaveEntry[];
}

/** What the first line of a manifest says. */
export interface SaveHeader {
  readonly format: 1;
  readonly replId: string;
  /** Counts up from 1; numbers may be missing, where an attempt left a manifest that never became a save. */
  readonly generation: number;
  /** Generation of the save before this one; 0 for the first. A manifest that no chain leads to is no save. */
  readonly parent: number;
  readonly sessionId: string;
  readonly createdAt: string;
  readonly kind: SaveKind;
  readonly files: number;
  readonly bytes: number;
  /** Sockets, FIFOs and devices: they have no content to keep. */
  readonly leftOut: readonly string[];
  /** What changed while it was read, in every pass, or is being uploaded still: their content is that of some moment, not of the save's. */
  readonly inMotion: readonly string[];
  /** Absent when everything else could be read and stored. */
  readonly notSaved?: NotSaved;
}

/** Paths that are there and could not be saved as they are. */
export interface NotSaved {
  readonly count: number;
  /** Some of them. */
  readonly first: readonly NotSavedPath[];
}

export interface NotSavedPath {
  readonly path: string;
  /** In words for the owner. */
  readonly why: string;
  /** The save has what the save before it had of the path. */
  readonly isKept: boolean;
}

const maximumPathsDescribed = 3;
/** In the outcome of a workflow and the answer to a close. The manifest names more. */
const maximumPathsNamed = 10;

/** Why a save was made. */
export type SaveKind = "template" | "checkpoint" | "close" | "restored" | "copy";

export type SaveEntry = FileEntry | FolderEntry | LinkEntry;

interface CommonEntry {
  /** Relative to the workspace; for a name that is not UTF-8, its bytes in base64 after `base64:`. */
  readonly path: string;
  /** Permission bits; a folder's set-gid and sticky too, but never a file's set-uid or set-gid. */
  readonly mode: number;
  /** Nanoseconds since 1970, in decimal: more than a JSON number can hold. */
  readonly mtimeNs: string;
}

export interface FileEntry extends CommonEntry {
  readonly type: "file";
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly key: string;
  readonly version: string;
  /** Path of an entry before this one that is the same file by another name (a hard link). */
  readonly sameAs?: string;
  /** Has holes, which are left out again when it is restored. */
  readonly sparse?: true;
}

export interface FolderEntry extends CommonEntry {
  readonly type: "folder";
}

export interface LinkEntry extends CommonEntry {
  readonly type: "link";
  readonly target: string;
}

export interface SaveSummary {
  readonly generation: number;
  /** Version of the manifest's object: another writer's attempt at the same generation never stands in for it. */
  readonly version: string;
  readonly files: number;
  readonly bytes: number;
  readonly savedAt: string;
}

/** What the program in the save container reports when it ends well. */
export interface SaveReport extends SaveSummary {
  readonly uploaded: number;
  readonly uploadedBytes: number;
  readonly deleted: number;
  readonly leftOut: number;
  /** At most a few of them: the manifest has them all. */
  readonly inMotion: readonly string[];
  /** Absent when everything could be saved. */
  readonly notSaved?: NotSaved;
  /** Big files whose upload goes on, in a checkpoint: the save has what the one before had of them. */
  readonly underWay?: { readonly files: number; readonly bytes: number };
}

/** The last words of a container that has made a session's last save. They may be cut, or not have been kept at all. */
export interface LastSaveReport {
  readonly generation: number;
  /** Why the REPL's programs could not be ended before it. */
  readonly notStopped?: string;
}

/** What a save lacks that was made beside programs. */
export function describeNotStopped(report: LastSaveReport | undefined, { savedAt }: SaveSummary): string {
  const why = report?.notStopped ?? "why, the save's last words do not say";
  return `The programs could not be ended (${why}). What they wrote after ${savedAt} is gone.`;
}

/** What is at risk while people work, as the checkpoints of a session know it. */
export interface SaveStatus {
  readonly lastSave?: Pick<SaveSummary, "generation" | "savedAt"> | undefined;
  /** Absent while everything that was seen is saved. */
  readonly unsaved?: UnsavedWork | undefined;
}

export interface UnsavedWork {
  /** Size of the files that changed since the last save. */
  readonly bytes: number;
  readonly files: number;
  readonly since: string;
  /** Why the last checkpoint failed. */
  readonly reason?: string | undefined;
}

/** For the owner; undefined when everything was saved. */
export function describeNotSaved(notSaved: NotSaved | undefined): string | undefined {
  if (!notSaved) return undefined;
  const { count, first } = notSaved;
  const named = first.slice(0, maximumPathsDescribed).map(({ path, why, isKept }) => {
    return `${path}: ${why}${isKept ? ", and stays as it was saved before" : ""}`;
  });
  const rest = count > named.length ? `; and ${count - named.length} more` : "";
  return `${count === 1 ? "1 path" : `${count} paths`} cannot be saved. ${named.join("; ")}${rest}`;
}

/** With no more paths by name than an answer holds; `count` is still of all. */
export function shortNotSaved({ count, first }: NotSaved): NotSaved {
  return { count, first: first.slice(0, maximumPathsNamed) };
}

/** Files and bytes are counted here and nowhere else. */
export function createManifest(
  header: Omit<SaveHeader, "format" | "files" | "bytes">,
  entries: readonly SaveEntry[],
): SaveManifest {
  const files = entries.filter((entry) => entry.type === "file");
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return { format: 1, ...header, files: files.length, bytes, entries };
}

export function summarize(manifest: SaveManifest, version: string): SaveSummary {
  const { generation, files, bytes, createdAt } = manifest;
  return { generation, version, files, bytes, savedAt: createdAt };
}

/** What a date can say, a hundred million days around 1970. */
const furthestMs = 8_640_000_000_000_000;

/** When an entry was changed, as near as can be said: a file system can have any time. */
export function modifiedAt(
  { mtimeNs }: SaveEntry,
  {
    earliestMs = -furthestMs,
    latestMs = furthestMs,
  }: { readonly earliestMs?: number; readonly latestMs?: number } = {},
): Date {
  return new Date(Math.min(latestMs, Math.max(earliestMs, Number(BigInt(mtimeNs) / 1_000_000n))));
}

/** True when both describe the same tree, whoever saved it and when. */
export function sameTree(a: readonly SaveEntry[], b: readonly SaveEntry[]): boolean {
  if (a.length !== b.length) return false;
  const byPath = new Map(a.map((entry) => [entry.path, entry]));
  return b.every((entry) => {
    const other = byPath.get(entry.path);
    return other !== undefined && identityOf(other) === identityOf(entry);
  });
}

function identityOf(entry: SaveEntry): string {
  const common = [entry.type, entry.mode, entry.mtimeNs];
  if (entry.type === "file") return JSON.stringify([...common, entry.sizeBytes, entry.sha256, entry.sameAs]);
  if (entry.type === "link") return JSON.stringify([...common, entry.target]);
  return JSON.stringify(common);
}

/** One JSON document: a line with everything but the entries, then a line an entry. */
export function writeSaveManifest({ entries, ...header }: SaveManifest): string {
  const lines = entries.map((entry) => JSON.stringify(entry));
  return `${JSON.stringify(header).slice(0, -1)},"entries":[\n${lines.join(",\n")}\n]}\n`;
}

/** Reads a manifest and refuses one that is not whole. Throws an Error that says what is wrong. */
export function parseSaveManifest(text: string): SaveManifest {
  const value = JSON.parse(text) as Partial<SaveManifest>;
  if (value.format !== 1) throw new Error(`save manifest: format ${String(value.format)} is not known`);
  if (typeof value.replId !== "string" || typeof value.generation !== "number" || !Array.isArray(value.entries)) {
    throw new Error("save manifest: replId, generation or entries is missing");
  }
  return value as SaveManifest;
}

/** Reads a manifest's first line alone; undefined when `head` does not hold all of it. */
export function parseSaveHeader(head: string): SaveHeader | undefined {
  const end = head.indexOf(',"entries":[\n');
  return end < 0 ? undefined : (JSON.parse(`${head.slice(0, end)}}`) as SaveHeader);
}

/** Why a restore or save container failed, from its last words: its own account, or whatever else it left. */
export function failureReported(message: string): string {
  return wordsOf<{ error?: string }>(message)?.error ?? (message.trim().slice(0, 500) || "it left no word");
}

/** A try of a save container that failed; it makes another one. */
export interface FailedTry {
  readonly event: "save failed";
  /** Counts up from 1. */
  readonly try: number;
  readonly reason: string;
}

/** The newest failed try that the last lines of a save container's log tell of. */
export function lastFailedTry(lines: string): FailedTry | undefined {
  return lines
    .split("\n")
    .map((line) => wordsOf<FailedTry>(line))
    .findLast((words): words is FailedTry => words?.event === "save failed" && typeof words.try === "number");
}

/** What a save container that ended well reported; undefined when it left no such words. */
export function saveReported(message: string): LastSaveReport | undefined {
  const report = wordsOf<LastSaveReport>(message);
  return typeof report?.generation === "number" ? (report as LastSaveReport) : undefined;
}

function wordsOf<Words>(message: string): Partial<Words> | undefined {
  try {
    const value: unknown = JSON.parse(message);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
