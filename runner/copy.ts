import { constants, type Stats } from "node:fs";
import { chmod, cp, lstat, mkdir, readdir, rm, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { reasons } from "./reasons.ts";
import { besides, placeNew } from "./replace-file.ts";

/** Copies within a workspace: none of them is put over something, and none is taken back with what others have put in it. */

const copyOptions = {
  recursive: true,
  errorOnExist: true,
  force: false,
  mode: constants.COPYFILE_EXCL,
  preserveTimestamps: true,
  verbatimSymlinks: true,
  filter: async (source: string) => isOfSave(await lstat(source)),
};

const isOfSave = (stats: Stats) => stats.isFile() || stats.isDirectory() || stats.isSymbolicLink();

/** A file or a link, in one step. Throws EEXIST. */
export async function copyFile(source: string, place: string): Promise<void> {
  if (!isOfSave(await lstat(source))) throw new Error("would be a copy of no file, folder or link");
  const temporary = besides(place);
  try {
    await cp(source, temporary, copyOptions);
    await placeNew(temporary, place);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Throws EEXIST. What is copied when it fails stays: others may be at work in it. */
export async function copyFolder(source: string, place: string): Promise<void> {
  await mkdir(place);
  try {
    for (const name of await readdir(source)) await cp(join(source, name), join(place, name), copyOptions);
    await chmod(place, (await stat(source)).mode & 0o7777);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`is copied in part only: ${reasons[code ?? ""] ?? message}`, { cause: error });
  }
}

/** Puts something as `name.txt`, or as `name (2).txt` and so on, where `put` finds that name free. Returns which. */
export async function untaken(place: string, put: (place: string) => Promise<void>): Promise<string> {
  const extension = extname(place);
  const stem = place.slice(0, place.length - extension.length);
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? place : `${stem} (${number})${extension}`;
    if (await exists(candidate)) continue;
    try {
      await put(candidate);
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

export async function exists(place: string): Promise<boolean> {
  return lstat(place).then(
    () => true,
    () => false,
  );
}
