import type { FileEntry } from "../domain/save.ts";
import type { SavedFile } from "./save-file.ts";

type Upload = (onUpload: (entry: FileEntry) => void) => Promise<SavedFile | undefined>;

/** A big file of a checkpoint, from when its upload is asked for. */
export interface BigFile {
  /** What its upload came to; undefined while it is under way. */
  outcome?: { readonly saved: SavedFile } | { readonly error: unknown } | { readonly gone: true };
  /** What was stored of it and no save has counted yet. */
  readonly uploads: FileEntry[];
}

/**
 * The big files of a checkpoint: each is uploaded once, one after the other, while small files are saved, and saved
 * again, beside it. They outlive a save, but not the process.
 */
export interface BigFiles {
  /** Before the first of them was read. */
  readonly startedAtNs: bigint;
  /** How many uploads were asked for. */
  readonly count: number;
  /** So long a save waits for them before it goes on without those that are not done. */
  readonly patienceMs: number;
  has(path: string): boolean;
  /** Asks for the upload of a file, unless that was done before; of one that was gone then it is asked again. */
  begin(path: string, upload: Upload): BigFile;
  /** What was stored of all of them and no save has counted yet. */
  takeUploads(): FileEntry[];
  /** Waits until all uploads have ended, but no longer than that. */
  wait(milliseconds: number): Promise<void>;
}

/** Most are done in this time, and then one save has everything. */
const standardPatienceMs = 5000;

export function createBigFiles(patienceMs = standardPatienceMs): BigFiles {
  const files = new Map<string, BigFile>();
  let count = 0;
  let last: Promise<void> = Promise.resolve();

  async function run(file: BigFile, upload: Upload): Promise<void> {
    try {
      const saved = await upload((entry) => void file.uploads.push(entry));
      file.outcome = saved ? { saved } : { gone: true };
    } catch (error) {
      file.outcome = { error };
    }
  }

  return {
    patienceMs,
    startedAtNs: BigInt(Date.now()) * 1_000_000n,
    get count() {
      return count;
    },
    has: (path) => files.has(path),
    takeUploads: () => [...files.values()].flatMap(({ uploads }) => uploads.splice(0)),
    begin(path, upload) {
      const known = files.get(path);
      if (known && !(known.outcome && "gone" in known.outcome)) return known;
      const file: BigFile = { uploads: [] };
      files.set(path, file);
      count++;
      last = last.then(() => run(file, upload));
      return file;
    },
    async wait(milliseconds) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
      await Promise.race([last, late]);
      clearTimeout(timer);
    },
  };
}
