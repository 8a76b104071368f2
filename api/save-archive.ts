import { posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack, type Header, type Pack } from "tar-stream";
import yazl from "yazl";
import { ReplError } from "../domain/errors.ts";
import type { FileStore } from "../domain/ports.ts";
import { withoutLostNames } from "../domain/save-paths.ts";
import { modifiedAt, type FileEntry, type SaveEntry } from "../domain/save.ts";

/** Formats of a whole save, and their content types. */
export const archiveFormats = { tar: "application/x-tar", zip: "application/zip" } as const;

type Store = Pick<FileStore, "getStream">;

const symbolicLink = 0o120000;
/** Dates of a zip begin with this. */
const zipEpoch = Date.UTC(1980, 0, 1);
/** What tar-stream can write, in 31 bits of seconds. */
const tarDates = { earliestMs: 0, latestMs: 0x7fffffff * 1000 };

/** A save as one archive, made while it is read: one file at a time, whatever their sizes. */
export function streamArchive(
  format: keyof typeof archiveFormats,
  entries: readonly SaveEntry[],
  store: Store,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  // A link to other content would unpack as that.
  const whole = withoutLostNames(entries);
  const output = format === "tar" ? tarOf(whole, store, signal) : zipOf(whole, store);
  return Readable.toWeb(output) as ReadableStream<Uint8Array<ArrayBuffer>>;
}

function tarOf(entries: readonly SaveEntry[], store: Store, signal: AbortSignal): Readable {
  const archive = pack();
  const output = Readable.from(archive);
  const fill = async () => {
    for (const entry of entries) {
      signal.throwIfAborted();
      await addToTar(archive, entry, store);
    }
    archive.finalize();
  };
  fill().catch((error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))));
  return output;
}

async function addToTar(archive: Pack, entry: SaveEntry, store: Store): Promise<void> {
  const header: Partial<Header> & Pick<Header, "name"> = {
    name: entry.path,
    mode: entry.mode,
    mtime: modifiedAt(entry, tarDates),
  };
  if (entry.type === "folder") return void archive.entry({ ...header, name: `${entry.path}/`, type: "directory" });
  if (entry.type === "link") return void archive.entry({ ...header, type: "symlink", linkname: entry.target });
  if (entry.sameAs !== undefined) return void archive.entry({ ...header, type: "link", linkname: entry.sameAs });
  const place = archive.entry({ ...header, size: entry.sizeBytes });
  await pipeline(await contentOf(entry, store), place);
}

function zipOf(entries: readonly SaveEntry[], store: Store): Readable {
  const archive = new yazl.ZipFile();
  const output = new Readable().wrap(archive.outputStream);
  archive.on("error", (error: Error) => output.destroy(error));
  const nameOf = createZipNames(entries);
  for (const entry of entries) {
    const name = nameOf(entry);
    const mtime = modifiedAt(entry, { earliestMs: zipEpoch });
    const options = { mtime, mode: entry.mode };
    if (entry.type === "folder") archive.addEmptyDirectory(name, options);
    else if (entry.type === "link")
      archive.addBuffer(Buffer.from(entry.target), name, { mtime, mode: symbolicLink | 0o777, compress: false });
    else
      archive.addReadStreamLazy(name, { ...options, size: entry.sizeBytes }, (take) => {
        contentOf(entry, store).then(
          (content) => take(null, content),
          (error: unknown) => take(error, Readable.from([])),
        );
      });
  }
  archive.end();
  return output;
}

/**
 * In a zip a backslash separates folders, and a letter with a colon is a drive. Where that makes two paths one, the
 * second gets a number; two folders become one.
 */
function createZipNames(entries: readonly SaveEntry[]): (entry: SaveEntry) => string {
  const plain = (path: string) => path.replaceAll("\\", "_").replace(/^([a-zA-Z]):/, "$1_");
  const taken = new Set(entries.flatMap(({ path, type }) => (type === "folder" ? [plain(path)] : [])));
  return ({ path, type }) => {
    const wanted = plain(path);
    if (type === "folder") return wanted;
    const { dir, name, ext } = posix.parse(wanted);
    let free = wanted;
    for (let number = 2; taken.has(free); number++) free = posix.join(dir, `${name} (${number})${ext}`);
    taken.add(free);
    return free;
  };
}

async function contentOf(entry: FileEntry, store: Store): Promise<Readable> {
  const bytes = await store.getStream(entry.key, entry.version);
  if (!bytes) throw new ReplError("unavailable", `${entry.path} is not in the object store any more.`);
  return Readable.from(bytes, { objectMode: false });
}
