import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Trees on the disk, for tests of saves. */

const folders: string[] = [];

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "devex-sync-"));
  folders.push(folder);
  return folder;
}

/** Files by their paths, with the folders above them. */
export function writeTree(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
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
  const under = (folder: Buffer, name: Buffer) => Buffer.concat([folder, Buffer.from("/"), name]);
  return readdirSync(under(root, relative), { encoding: "buffer" }).flatMap((name) => {
    const path = relative.length > 0 ? under(relative, name) : name;
    return lstatSync(under(root, path)).isDirectory() ? [path, ...pathsUnder(root, path)] : [path];
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
