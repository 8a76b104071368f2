import { mapConcurrently } from "./concurrency.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore } from "./ports.ts";
import type { FileEntry, SaveManifest } from "./save.ts";

/** As many as one page of a listing may hold. */
const fewFiles = 1000;
const filesInSample = 20;
const concurrentFiles = 8;

type Listing = Pick<ObjectStore, "listVersions">;

/**
 * Paths of a save's files whose bytes the store does not have any more. Of a save of many files only some are looked
 * at, others each time, unless `isDeep`.
 */
export async function missingFiles(store: Listing, manifest: SaveManifest, isDeep: boolean): Promise<string[]> {
  const files = manifest.entries.filter((entry) => entry.type === "file");
  if (isDeep || files.length <= fewFiles) return missingOf(files, await versionsOfAll(store, files));
  const sample = sampleOf(files);
  const versions = await mapConcurrently(sample, { items: concurrentFiles }, ({ key }) => firstVersions(store, key));
  return missingOf(sample, new Set(versions.flat()));
}

const nameOf = ({ key, version }: { readonly key: string; readonly version: string }) => `${version} ${key}`;

const missingOf = (files: readonly FileEntry[], there: ReadonlySet<string>) =>
  files.filter((file) => !there.has(nameOf(file))).map(({ path }) => path);

async function versionsOfAll(store: Listing, files: readonly FileEntry[]): Promise<Set<string>> {
  const there = new Set<string>();
  for (const folder of new Set(files.map(({ key }) => folderOf(key))))
    for await (const page of store.listVersions(folder))
      for (const version of page) if (!version.isMarker) there.add(nameOf(version));
  return there;
}

/** The workspace, or the folder of a REPL's odd files. */
function folderOf(key: string): string {
  const depth = objectKey.isInternal(key) ? 3 : 2;
  return `${key.split("/").slice(0, depth).join("/")}/`;
}

/** A key comes before all that it is the beginning of, so its versions are on the first pages. */
async function firstVersions(store: Listing, key: string): Promise<string[]> {
  const names: string[] = [];
  for await (const page of store.listVersions(key)) {
    names.push(...page.filter((version) => version.key === key && !version.isMarker).map(nameOf));
    if (page.some((version) => version.key !== key)) break;
  }
  return names;
}

function sampleOf(files: readonly FileEntry[]): FileEntry[] {
  const chosen = new Set<FileEntry>();
  while (chosen.size < filesInSample) chosen.add(files[Math.floor(Math.random() * files.length)] as FileEntry);
  return [...chosen];
}
