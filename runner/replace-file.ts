import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

const ending = ".devex-tmp";

/** What {@link replaceFile} has beside a file for a moment: nobody needs to hear of it. */
export const isTemporary = (path: string): boolean => path.endsWith(ending);

/**
 * Has `fill` write a new file beside the place and puts it there in one step: a reader, or a power cut, sees the old or
 * the new content. Not when `isStillWanted` says at the last moment that the place is not what it was; then the answer
 * is false. `put` is a rename unless something else is to refuse what is there.
 */
export async function replaceFile(
  place: string,
  fill: (temporary: string) => Promise<void>,
  isStillWanted: () => Promise<boolean>,
  put: (temporary: string, place: string) => Promise<void> = rename,
): Promise<boolean> {
  const temporary = join(dirname(place), `.${randomBytes(6).toString("hex")}${ending}`);
  try {
    await fill(temporary);
    if (!(await isStillWanted())) return false;
    await put(temporary, place);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}
