import type { FileEntry, SaveEntry } from "./save.ts";

/** What stands before the bytes, in base64, of a path that is not UTF-8. */
export const rawPrefix = "base64:";

/**
 * The bytes of a manifest's path, a letter a byte. Only by them can paths be compared: one that is not UTF-8 is written
 * in another way than the folders above it.
 */
export function bytesOfPath(path: string): string {
  if (path.startsWith(rawPrefix)) return atob(path.slice(rawPrefix.length));
  if (/^[\u0000-\u007f]*$/.test(path)) return path;
  return Array.from(new TextEncoder().encode(path), (byte) => String.fromCharCode(byte)).join("");
}

/** True of the folder's own path too. */
export function isWithin(path: string, folder: string): boolean {
  const [inside, outside] = [bytesOfPath(path), bytesOfPath(folder)];
  return inside === outside || inside.startsWith(`${outside}/`);
}

/** The bytes of the paths of all folders above one. */
export function foldersAbove(path: string): string[] {
  const bytes = bytesOfPath(path);
  const folders: string[] = [];
  for (let end = bytes.lastIndexOf("/"); end > 0; end = bytes.lastIndexOf("/", end - 1))
    folders.push(bytes.slice(0, end));
  return folders;
}

/** As a manifest has them: each folder right before what is in it. */
export function inOrder<Entry extends Pick<SaveEntry, "path">>(entries: readonly Entry[]): Entry[] {
  // No name has a NUL, and a slash would come after a dash or a dot.
  const places = entries.map((entry) => ({ entry, place: bytesOfPath(entry.path).replaceAll("/", "\0") }));
  return places.sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0)).map(({ entry }) => entry);
}

/** Where entries of more than one save come together, a hard link's other name may be gone, or be another file: then it stands for itself. */
export function withoutLostNames(entries: readonly SaveEntry[]): SaveEntry[] {
  const earlier = new Map<string, string>();
  return entries.map((entry) => {
    if (entry.type !== "file") return entry;
    earlier.set(entry.path, entry.sha256);
    if (entry.sameAs === undefined || earlier.get(entry.sameAs) === entry.sha256) return entry;
    return standingAlone(entry);
  });
}

/** A file, whatever other names it had. */
export function standingAlone({ sameAs, ...own }: FileEntry): FileEntry {
  return own;
}
