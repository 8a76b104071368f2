import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, runQuietly } from "./commands.ts";
import { cacheFolder } from "./settings.ts";

export interface Image {
  readonly reference: string;
  /** What a node loads. */
  readonly archive: string;
}

export interface BaseImage extends Image {
  /** Changes with every byte of it. */
  readonly digest: string;
}

interface OciIndex {
  readonly manifests: readonly { readonly digest: string; annotations?: Record<string, string> }[];
}

export const imagesFolder = join(cacheFolder, "images");
/** The name that containerd gives to an image it imports. */
const nameAnnotation = "io.containerd.image.name";
/** Of each image: those that checkouts go to and fro between. */
const archivesKept = 3;

/** Options by which buildah finds its images. */
export function storage(): string[] {
  return ["--root", join(cacheFolder, "buildah"), "--runroot", "/run/devex-buildah", "--storage-driver", "overlay"];
}

export async function isStored(reference: string): Promise<boolean> {
  return (await runQuietly("buildah", [...storage(), "images", "-q", reference])) !== "";
}

/**
 * Writes an image out of buildah's storage as an OCI archive, compressed, without the layers that the archive `base`
 * holds: a node that has loaded that one has them, and neither reads nor unpacks them again.
 */
export async function writeArchive(reference: string, archive: string, base?: string): Promise<void> {
  const work = `${archive}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const push = ["push", "-q", "--compression-format", "zstd", reference, `oci:${work}:image`];
    await run("buildah", [...storage(), ...push]);
    const file = join(work, "index.json");
    const index = JSON.parse(readFileSync(file, "utf8")) as OciIndex;
    for (const manifest of index.manifests) manifest.annotations = { [nameAnnotation]: reference };
    writeFileSync(file, JSON.stringify(index));
    const known = base ? (await run("tar", ["--list", "--file", base])).split("\n") : [];
    const excluded = known.filter((path) => /^blobs\/sha256\/\w+$/.test(path)).map((path) => `--exclude=${path}`);
    const parts = ["oci-layout", "index.json", "blobs"];
    await run("tar", ["--create", "--file", `${archive}.part`, "--directory", work, ...excluded, ...parts]);
    renameSync(`${archive}.part`, archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export async function archiveDigest(archive: string): Promise<string> {
  const index = await run("tar", ["--extract", "--to-stdout", "--file", archive, "index.json"]);
  return (JSON.parse(index) as OciIndex).manifests[0]?.digest ?? "";
}

/** Removes all but the newest archives of one image; each change of its code leaves one. */
export function removeOlder(name: string): void {
  const age = (file: string) => statSync(file).mtimeMs;
  const archives = readdirSync(imagesFolder)
    .filter((file) => new RegExp(`^${name}-[0-9a-f]{12}\\.tar$`).test(file))
    .map((file) => join(imagesFolder, file))
    .sort((a, b) => age(b) - age(a));
  for (const archive of archives.slice(archivesKept)) rmSync(archive, { force: true });
}

export function hashOf(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}
