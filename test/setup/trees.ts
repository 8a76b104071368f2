import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Trees on the disk, for tests of saves. */

const folders: string[] = [];

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "devex-sync-"));
  folders.push(folder);
  return folder;
}

/** Removes all that {@link newFolder} made. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) {
    if (!existsSync(folder)) continue;
    execFileSync("chmod", ["-R", "u+rwx", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function pathsUnder(root: Buffer, relative: Buffer): Buffer[] {
  return readdirSync(Buffer.concat([root, Buffer.from("/"), relative]), {
    encoding: "buffer",
    withFileTypes: true,
  }).flatMap((entry) => {
    const name = entry.name as unknown as Buffer;
    const path = relative.length > 0 ? Buffer.concat([relative, Buffer.from("/"), name]) : name;
    return entry.isDirectory() ? [path, ...pathsUnder(root, path)] : [path];
  });
}

/** Everything that must come back, one line a path. */
export function describeTree(root: string): string[] {
  return pathsUnder(Buffer.from(root), Buffer.alloc(0))
    .map((name) => {
      const path = Buffer.concat([Buffer.from(`${root}/`), name]);
      const stats = lstatSync(path, { bigint: true });
      const content = stats.isSymbolicLink()
        ? readlinkSync(path)
        : stats.isFile()
          ? readFileSync(path).toString("base64")
          : "";
      return `${name.toString("hex")} ${stats.mode.toString(8)} ${stats.mtimeNs} ${content}`;
    })
    .sort();
}
