/** Why the system refuses something, in words that follow a path. */
export const reasons: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "is not in a folder",
  EACCES: "is not permitted",
  EEXIST: "exists already",
  ENAMETOOLONG: "is too long a name",
  ELOOP: "is a link that leads to itself",
  EINVAL: "cannot be moved there",
  ENOSPC: "does not fit: the disk of this REPL is full",
  EDQUOT: "does not fit: the disk of this REPL is full",
};

/** Throws what a user can read in place of an error of the system. */
export function friendly(path: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    throw new Error(`${path} ${reasons[error.code ?? ""] ?? error.message}`, { cause: error });
  };
}
