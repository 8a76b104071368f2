/**
 * A save: an immutable manifest of every path of a workspace. A file's bytes are one version of one object,
 * named exactly, so that a save is all or nothing and an older one can be opened again.
 */
export interface SaveManifest {
  readonly format: 1;
  readonly replId: string;
  readonly generation: number;
  readonly sessionId: string;
  readonly createdAt: string;
  readonly entries: readonly SaveEntry[];
  /** Sockets, FIFOs and devices: they have no content to keep. */
  readonly leftOut: readonly string[];
}

export type SaveEntry = FileEntry | FolderEntry | LinkEntry;

interface CommonEntry {
  /** Relative to the workspace; for a name that is not UTF-8, its bytes in base64 after `base64:`. */
  readonly path: string;
  /** Permission bits; a folder's set-gid and sticky too, but never a file's set-uid or set-gid. */
  readonly mode: number;
  /** Milliseconds since 1970, with fractions. */
  readonly mtimeMs: number;
}

export interface FileEntry extends CommonEntry {
  readonly type: "file";
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly key: string;
  readonly version: string;
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
  readonly deleted: number;
}

export function summarize(manifest: SaveManifest, version: string): SaveSummary {
  const files = manifest.entries.filter((entry) => entry.type === "file");
  return {
    generation: manifest.generation,
    version,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    savedAt: manifest.createdAt,
  };
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
  const common = [entry.type, entry.mode, entry.mtimeMs];
  if (entry.type === "file") return JSON.stringify([...common, entry.sizeBytes, entry.sha256]);
  if (entry.type === "link") return JSON.stringify([...common, entry.target]);
  return JSON.stringify(common);
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

/** Why a restore or save container failed, from its last words: its own account, or whatever else it left. */
export function failureReported(message: string): string {
  try {
    return (JSON.parse(message) as { error?: string }).error ?? message;
  } catch {
    return message.trim().slice(0, 500) || "it left no word";
  }
}
