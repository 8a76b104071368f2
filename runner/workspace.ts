import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, open, readFile, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, normalize, sep } from "node:path";
import diffMatchPatch from "diff-match-patch";
import type { FolderItem } from "./protocol.ts";

const maximumTextBytes = 5 * 1024 * 1024;

/** The files of one REPL. Paths come with or without a leading slash and never leave the root. */
export type Workspace = ReturnType<typeof createWorkspace>;

export function createWorkspace(root: string) {
  const patcher = new diffMatchPatch.diff_match_patch();

  /** Where a path lies on disk, with the links in its folder followed and proven to stay inside. */
  async function locate(path: string): Promise<string> {
    if (path.includes("\0")) throw new Error("a path cannot contain NUL");
    const relative = normalize(`/${path}`);
    if (relative === sep) return root;
    const folder = await realpath(join(root, dirname(relative))).catch(friendly(path));
    requireInside(folder, path);
    return join(folder, basename(relative));
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

  async function locateNew(path: string): Promise<string> {
    const place = await locate(path);
    if (place === root) throw new Error("name a file or folder inside the workspace");
    const existing = await lstat(place).catch(() => undefined);
    if (existing) throw new Error(`${path} exists already`);
    return place;
  }

  async function readText(path: string): Promise<{ place: string; content: string; mode: number }> {
    const place = await locateTarget(path);
    const stats = await stat(place);
    if (stats.isDirectory()) throw new Error(`${path} is a folder`);
    if (!stats.isFile()) throw new Error(`${path} is not a regular file`);
    if (stats.size > maximumTextBytes)
      throw new Error(`${path} is too large to edit here (${stats.size} bytes, at most ${maximumTextBytes})`);
    const bytes = await readFile(place);
    const content = bytes.toString("utf8");
    if (bytes.includes(0) || !Buffer.from(content, "utf8").equals(bytes)) throw new Error(`${path} is not a text file`);
    return { place, content, mode: stats.mode & 0o777 };
  }

  return {
    root,

    /** Folders first, each group by name. */
    async list(path: string): Promise<FolderItem[]> {
      const folder = await locateTarget(path);
      const entries = await readdir(folder, { withFileTypes: true }).catch(friendly(path));
      const items = await Promise.all(
        entries.map(async (entry) => {
          const isDir = entry.isSymbolicLink()
            ? await stat(join(folder, entry.name)).then(
                (stats) => stats.isDirectory(),
                () => false,
              )
            : entry.isDirectory();
          return { name: entry.name, isDir };
        }),
      );
      return items.sort((a, b) => Number(b.isDir) - Number(a.isDir) || (a.name < b.name ? -1 : 1));
    },

    async read(path: string): Promise<string> {
      return (await readText(path)).content;
    },

    /** Applies a patch in diff-match-patch's text form: all hunks or none, and the file changes in one step. */
    async patch(path: string, patchText: string): Promise<void> {
      const { place, content, mode } = await readText(path);
      const patches = patcher.patch_fromText(patchText);
      const [patched, applied] = patcher.patch_apply(patches, content);
      if (!applied.every(Boolean))
        throw new Error(`${path} has changed: the edit does not fit it any more; fetch it again`);
      await replaceFile(place, patched, mode);
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
      const place = await locate(path);
      if (place === root) throw new Error("the workspace itself cannot be deleted");
      await lstat(place).catch(friendly(path));
      await rm(place, { recursive: true, force: true });
    },

    async rename(oldPath: string, newPath: string): Promise<void> {
      const from = await locate(oldPath);
      if (from === root) throw new Error("the workspace itself cannot be renamed");
      await lstat(from).catch(friendly(oldPath));
      await rename(from, await locateNew(newPath)).catch(friendly(newPath));
    },
  };

  /** Makes the missing folders above a path, one by one, each proven to be inside. Returns the path's place. */
  async function prepareParents(path: string): Promise<string> {
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

/** Writes beside the file and renames over it: a reader, or a power cut, sees the old or the new content. */
async function replaceFile(place: string, content: string, mode: number): Promise<void> {
  const temporary = join(dirname(place), `.${randomBytes(6).toString("hex")}.devex-tmp`);
  try {
    await writeFile(temporary, content, { mode });
    await chmod(temporary, mode);
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "is not in a folder",
  EACCES: "is not permitted",
  EEXIST: "exists already",
  ENAMETOOLONG: "is too long a name",
  ELOOP: "is a link that leads to itself",
  EINVAL: "cannot be moved there",
};

function friendly(path: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    throw new Error(`${path} ${reasons[error.code ?? ""] ?? error.message}`, { cause: error });
  };
}
