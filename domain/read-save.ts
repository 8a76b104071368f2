import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore } from "./ports.ts";
import type { ReplId } from "./repl.ts";
import { parseSaveManifest, summarize, type SaveManifest, type SaveSummary } from "./save.ts";

type ManifestStore = Pick<FileStore, "getText">;

/** A save whole, and what a record says of it. */
export interface ReadSave {
  readonly manifest: SaveManifest;
  readonly summary: SaveSummary;
}

/** Reads one manifest, the current version unless another is named; undefined when there is none. */
export async function readManifest(
  store: ManifestStore,
  replId: ReplId,
  generation: number,
  version?: string,
): Promise<ReadSave | undefined> {
  const object = await store.getText(objectKey.save(replId, generation), version);
  if (!object) return undefined;
  const manifest = parseSaveManifest(object.text);
  if (manifest.replId !== replId || manifest.generation !== generation)
    throw new ReplError("unavailable", `Save ${generation} of ${replId} is not what its name says.`);
  return { manifest, summary: summarize(manifest, object.version) };
}

/** Reads the manifest a record points at. Throws `unavailable` when it is missing: a record never points at nothing. */
export async function readSave(
  store: ManifestStore,
  replId: ReplId,
  { generation, version }: Pick<SaveSummary, "generation" | "version">,
): Promise<SaveManifest> {
  const found = await readManifest(store, replId, generation, version);
  if (!found) throw new ReplError("unavailable", `Save ${generation} of ${replId} is not in the object store.`);
  return found.manifest;
}
