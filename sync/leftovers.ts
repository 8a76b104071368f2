import { createHash } from "node:crypto";
import { chmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync, type BigIntStats } from "node:fs";
import { open } from "node:fs/promises";
import type { FileEntry, SaveEntry } from "../domain/save.ts";
import { encodePath } from "./paths.ts";

const readAtOnce = 256 * 1024;

/** What an earlier try of a restore has left that may be right already. */
export interface Leftovers {
  readonly folders: ReadonlySet<string>;
  /** Size and time of these are those of the save; their bytes are still to be looked at. */
  readonly files: ReadonlySet<string>;
}

/** Removes everything below a folder but what a save has there, too. Folders that stay may be written in. */
export function clearForSave(root: Buffer, entries: readonly SaveEntry[]): Leftovers {
  const [folders, files] = [new Set<string>(), new Set<string>()];
  if (readdirSync(root).length === 0) return { folders, files };
  const known = new Map(entries.map((entry) => [entry.path, entry]));

  const visit = (folder: Buffer, relative: Buffer): void => {
    for (const name of readdirSync(folder, { encoding: "buffer" })) {
      const absolute = under(folder, name);
      const path = relative.length === 0 ? name : under(relative, name);
      const entry = known.get(encodePath(path));
      const stats = lstatSync(absolute, { bigint: true });
      if (entry?.type === "folder" && stats.isDirectory()) {
        chmodSync(absolute, 0o700);
        folders.add(entry.path);
        visit(absolute, path);
      } else if (entry?.type === "file" && isLike(entry, stats)) files.add(entry.path);
      else removeAll(absolute, stats);
    }
  };
  visit(root, Buffer.alloc(0));
  return { folders, files };
}

/** The time is set last, so that a file of which a part is missing has another. What has two names may be another's. */
function isLike({ sameAs, sizeBytes, mtimeNs }: FileEntry, stats: BigIntStats): boolean {
  const isWhole = stats.isFile() && stats.nlink === 1n && stats.size === BigInt(sizeBytes);
  return isWhole && sameAs === undefined && stats.mtimeNs === BigInt(mtimeNs);
}

function removeAll(path: Buffer, stats: BigIntStats): void {
  if (!stats.isDirectory()) return unlinkSync(path);
  chmodSync(path, 0o700);
  for (const name of readdirSync(path, { encoding: "buffer" })) {
    const inside = under(path, name);
    removeAll(inside, lstatSync(inside, { bigint: true }));
  }
  rmdirSync(path);
}

/** Keeps a file whose bytes and mode are those of a save, and removes any other. */
export async function keepIfSame({ sha256, mode }: FileEntry, path: Buffer): Promise<boolean> {
  try {
    if ((await sha256Of(path)) === sha256) {
      chmodSync(path, mode);
      return true;
    }
  } catch {
    // What cannot be read is made anew.
  }
  unlinkSync(path);
  return false;
}

async function sha256Of(path: Buffer): Promise<string> {
  const file = await open(path, "r");
  try {
    const running = createHash("sha256");
    const buffer = Buffer.allocUnsafe(readAtOnce);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, readAtOnce, null);
      if (bytesRead === 0) return running.digest("hex");
      running.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

function under(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from("/"), name]);
}
