import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore } from "./ports.ts";
import type { ReplId } from "./repl.ts";
import { parseSaveManifest, type SaveManifest, type SaveSummary } from "./save.ts";

/** Reads the manifest a record points at. Throws `unavailable` when it is missing: a record never points at nothing. */
export async function readSave(
  store: Pick<FileStore, "getText">,
  replId: ReplId,
  save: Pick<SaveSummary, "generation" | "version">,
): Promise<SaveManifest> {
  const object = await store.getText(objectKey.save(replId, save.generation), save.version);
  if (!object) throw new ReplError("unavailable", `Save ${save.generation} of ${replId} is not in the object store.`);
  const manifest = parseSaveManifest(object.text);
  if (manifest.replId !== replId || manifest.generation !== save.generation) {
    throw new ReplError("unavailable", `Save ${save.generation} of ${replId} is not what its name says.`);
  }
  return manifest;
}
