import { ReplError } from "../domain/errors.ts";

/** Errors by which this machine says that it cannot go on, whichever path it was at. */
const ofTheMachine = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "EINTR"]);
/** Errors by which a disk says that it lost something: one path, or everything when it says so of most. */
const ofTheDisk = new Set(["EIO", "ESTALE", "EUCLEAN", "EBADMSG", "ENODEV", "EREMOTEIO"]);

const words: Readonly<Record<string, string>> = {
  EACCES: "it may not be read",
  EPERM: "it may not be read",
  EIO: "the disk cannot read it",
  ENAMETOOLONG: "its whole path is longer than 4,095 bytes",
};

/** Why one path cannot be saved. */
export interface Trouble {
  readonly why: string;
  readonly isOfDisk?: boolean;
  /** Another try comes to the same until the path changes. */
  readonly isSettled?: boolean;
}

/** Thrown for a file that is not to be saved over what the save before has of it. */
export class KeepsSavedContent extends Error {}

/** What an error says of the path that it was thrown for. Throws it again when it is the store's, the machine's or a mistake of ours. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof KeepsSavedContent) return { why: error.message, isSettled: true };
  if (error instanceof ReplError) {
    if (error.code !== "conflict" && error.code !== "invalid") throw error;
    return { why: `the object store does not take it: ${error.message}` };
  }
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code) || ofTheMachine.has(code)) throw error;
  return { why: `${words[code] ?? "it cannot be read"} (${code})`, isOfDisk: ofTheDisk.has(code) };
}
