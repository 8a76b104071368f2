import { randomBytes } from "node:crypto";
import { linkSync, renameSync } from "node:fs";
import { link, lstat, mkdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Puts files and folders in place in one step, and never over what another writer has put there. */

/** Names of the runner's temporary files, which no save holds (sync/walk.ts). */
export const isTemporaryName = (name: string): boolean => /^\.[0-9a-f]{12}\.devex-tmp$/.test(name);

/**
 * Has `fill` write a new file beside the place and puts it there in one step: a reader, or a power cut, sees the old or
 * the new content. Not when `isStillWanted` says at the last moment that the place is not what it was; then the answer
 * is false. Between that and the step nothing else of this process comes. Throws EEXIST where only a new one is wanted.
 */
export async function replaceFile(
  place: string,
  fill: (temporary: string) => Promise<void>,
  isStillWanted: () => boolean,
  { isOnlyNew = false } = {},
): Promise<boolean> {
  const temporary = besides(place);
  try {
    await fill(temporary);
    if (!isStillWanted()) return false;
    // A link is refused where there is something by now.
    if (isOnlyNew) linkSync(temporary, place);
    else renameSync(temporary, place);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Gives what lies at `from` the name `to`, which nothing has. Throws EEXIST where something has: rename(2) alone would
 * replace it.
 */
export async function placeNew(from: string, to: string): Promise<void> {
  if (!(await lstat(from)).isDirectory()) {
    await link(from, to);
    return unlink(from);
  }
  await mkdir(to);
  try {
    await rename(from, to);
  } catch (error) {
    // Removes the folder only while it is empty: another writer may have put a file into it.
    await rmdir(to).catch(() => {});
    const { code } = error as NodeJS.ErrnoException;
    throw code === "ENOTEMPTY" || code === "ENOTDIR"
      ? Object.assign(new Error(`${to} exists`), { code: "EEXIST" })
      : error;
  }
}

/** A name beside a place that nothing has. */
export function besides(place: string): string {
  return join(dirname(place), `.${randomBytes(6).toString("hex")}.devex-tmp`);
}
