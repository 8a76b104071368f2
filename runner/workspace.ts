import { readFileSync, type Stats } from "node:fs";
import { chmod, lstat, mkdir, open, readFile, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { basename, dirname, join, normalize, relative, sep } from "node:path";
import diffMatchPatch from "diff-match-patch";
import { copyFile, copyFolder, exists, untaken } from "./copy.ts";
import type { FolderItem } from "./protocol.ts";
import { friendly } from "./reasons.ts";
import { isTemporaryName, placeNew, replaceFile } from "./replace-file.ts";

const maximumTextBytes = 5 * 1024 * 1024;

/** The files of one REPL. Paths come with or without a leading slash and never leave the root. */
export type Workspace = ReturnType<typeof createWorkspace>;

export function createWorkspace(root: string) {
  const patcher = new diffMatchPatch.diff_match_patch();
  const alone = createTurns();

  /** Where a path lies on disk, with the links in its folder followed and proven to stay inside. */
  async function locate(path: string): Promise<string> {
    if (path.includes("\0")) throw new Error("a path cannot contain NUL");
    const plain = normalize(`/${path}`);
    if (plain === sep) return root;
    const folder = await realpath(join(root, dirname(plain))).catch(friendly(path));
    requireInside(folder, path);
    return join(folder, basename(plain));
  }

  /** Like {@link locate}, and the last part, if it is a link, leads to something inside as well. */
  async function locateTarget(path: string): Promise<string> {
    const target = await realpath(await locate(path)).catch(friendly(path));
    requireInside(target, path);
    return target;
  }

  function requireInside(place: string, path: string): void {
    if (place !== root && !place.startsWith(root + sep)) throw new Error(`${path} lies outside the workspace`);
  }

  /** Refuses names of the runner's temporary files: no save holds a file with one. */
  function requireName(path: string): void {
    if (isTemporaryName(basename(normalize(`/${path}`))))
      throw new Error(`${path} is a name that this REPL keeps for itself`);
  }

  async function locateNew(path: string): Promise<string> {
    const place = await locate(path);
    if (place === root) throw new Error("name a file or folder inside the workspace");
    if (await exists(place)) throw new Error(`${path} exists already`);
    return place;
  }

  async function locateFile(path: string): Promise<{ place: string; stats: Stats }> {
    const place = await locateTarget(path);
    const stats = await stat(place);
    if (stats.isDirectory()) throw new Error(`${path} is a folder`);
    if (!stats.isFile()) throw new Error(`${path} is not a regular file`);
    return { place, stats };
  }

  async function readText(path: string): Promise<{ place: string; content: string; mode: number }> {
    const { place, stats } = await locateFile(path);
    if (stats.size > maximumTextBytes)
      throw new Error(`${path} is too large to edit here (${stats.size} bytes, at most ${maximumTextBytes})`);
    const bytes = await readFile(place);
    const content = bytes.toString("utf8");
    if (bytes.includes(0) || !Buffer.from(content, "utf8").equals(bytes)) throw new Error(`${path} is not a text file`);
    return { place, content, mode: stats.mode & 0o777 };
  }

  /** Where what lies at `from` goes when it is put to `to`: into that folder, or under that name. */
  async function destination(from: string, to: string): Promise<string> {
    const path = (await isFolder(await locate(to))) ? join(to, basename(from)) : to;
    requireName(path);
    return locate(path);
  }

  /** Something that is there, and never the workspace itself. */
  async function locateExisting(path: string, refusal = "name a file or folder inside the workspace"): Promise<string> {
    const place = await locate(path);
    if (place === root) throw new Error(refusal);
    await lstat(place).catch(friendly(path));
    return place;
  }

  return {
    root,
    /** Where a regular file lies that can be read, and what is known of it. */
    locateFile,

    /** Where a file may be written, with the folders above it made; over what a link leads to, when that is inside. */
    async locateForWriting(path: string): Promise<string> {
      const place = await prepareParents(path);
      if (place === root) throw new Error("name a file inside the workspace");
      const isLink = await lstat(place).then(
        (stats) => stats.isSymbolicLink(),
        () => false,
      );
      return isLink ? locateTarget(path) : place;
    },

    /** Folders first, each group by name. */
    async list(path: string): Promise<FolderItem[]> {
      const folder = await locateTarget(path);
      const entries = await readdir(folder, { withFileTypes: true }).catch(friendly(path));
      const items = await Promise.all(
        entries.map(async (entry) => {
          const isDir = entry.isSymbolicLink() ? await isFolder(join(folder, entry.name)) : entry.isDirectory();
          return { name: entry.name, isDir };
        }),
      );
      return items.sort((a, b) => Number(b.isDir) - Number(a.isDir) || (a.name < b.name ? -1 : 1));
    },

    async read(path: string): Promise<string> {
      return (await readText(path)).content;
    },

    /**
     * Applies a patch in diff-match-patch's text form: all hunks or none, and the file changes in one step. Hunks also
     * fit where others have changed the rest of the file: the CRC-32 of what it is now tells the editor of that.
     */
    async patch(path: string, patchText: string): Promise<number> {
      return alone((await locateFile(path)).place, async () => {
        const { place, content, mode } = await readText(path);
        const patches = patcher.patch_fromText(patchText);
        const [patched, applied] = patcher.patch_apply(patches, content);
        if (!applied.every(Boolean))
          throw new Error(`${path} has changed: the edit does not fit it any more; fetch it again`);
        const fill = async (temporary: string) => {
          await writeFile(temporary, patched, { mode });
          await chmod(temporary, mode);
        };
        const isStill = () => readIfThere(place) === content;
        if (!(await replaceFile(place, fill, isStill)))
          throw new Error(`${path} has changed at this very moment; fetch it again`);
        return crc32(patched);
      });
    },

    /** Makes an empty file, and the folders above it; never touches one that exists. */
    async createFile(path: string): Promise<void> {
      await mkdir(dirname(await prepareParents(path)), { recursive: true });
      const file = await open(await locateNew(path), "wx").catch(friendly(path));
      await file.close();
    },

    async createFolder(path: string): Promise<void> {
      await prepareParents(path);
      await mkdir(await locateNew(path)).catch(friendly(path));
    },

    /** Removes a file, a link (not what it points to) or a folder with all in it. */
    async remove(path: string): Promise<void> {
      const place = await locateExisting(path, "the workspace itself cannot be deleted");
      await rm(place, { recursive: true, force: true });
    },

    /**
     * Copies a file, a link or a folder with all in it, into the folder `to` or under that name; a name that is taken
     * gets a number. Sockets and the like stay behind, as in a save. Returns where it went. Where a copy of a folder
     * fails, what it has made stays: others may be at work in it.
     */
    async copy(from: string, to: string): Promise<string> {
      const source = await locateExisting(from);
      const target = await destination(source, to);
      if (target.startsWith(source + sep)) throw new Error(`${from} cannot be copied into itself`);
      const copy = (await lstat(source)).isDirectory() ? copyFolder : copyFile;
      const copied = await untaken(target, (place) => copy(source, place)).catch(friendly(to));
      return relative(root, copied);
    },

    /** Moves it, into the folder `to` or under that name, never over another. Returns where it went. */
    async move(from: string, to: string): Promise<string> {
      const source = await locateExisting(from);
      const target = await destination(source, to);
      if (target === source) return relative(root, source);
      await placeNew(source, target).catch(friendly(relative(root, target)));
      return relative(root, target);
    },

    /** Tells two states of a path apart, whoever changed it; empty when nothing is there. Never throws. */
    async stateOf(path: string): Promise<string> {
      try {
        const { ino, size, mtimeNs } = await lstat(await locate(path), { bigint: true });
        return `${ino} ${size} ${mtimeNs}`;
      } catch {
        return "";
      }
    },

    async rename(oldPath: string, newPath: string): Promise<void> {
      const from = await locateExisting(oldPath, "the workspace itself cannot be renamed");
      await prepareParents(newPath);
      await placeNew(from, await locateNew(newPath)).catch(friendly(newPath));
    },
  };

  /** Makes the missing folders above a new name, one by one, each proven to be inside. Returns the name's place. */
  async function prepareParents(path: string): Promise<string> {
    requireName(path);
    const parts = normalize(`/${path}`).split(sep).filter(Boolean);
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = await locate(parts.slice(0, depth).join(sep));
      await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
    }
    return locate(path);
  }
}

/** Work on the same thing one after the other, on different things at once. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(what) ?? Promise.resolve()).then(work);
    const settled = turn.catch(() => {});
    last.set(what, settled);
    try {
      return await turn;
    } finally {
      if (last.get(what) === settled) last.delete(what);
    }
  };
}

async function isFolder(place: string): Promise<boolean> {
  return stat(place).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

function readIfThere(place: string): string | undefined {
  try {
    return readFileSync(place, "utf8");
  } catch {
    return undefined;
  }
}
