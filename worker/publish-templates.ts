import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { objectKey } from "../domain/naming.ts";
import type { ObjectStore } from "../domain/ports.ts";
import { createManifest, writeSaveManifest, type SaveEntry } from "../domain/save.ts";
import type { LoadedTemplate } from "../config/templates.ts";

/**
 * Puts a template's files into the object store under their digest, and last the manifest that makes them
 * usable. What is there under that digest is complete and never changes. May be repeated, also by two
 * workers at once.
 */
export async function publishTemplate(store: ObjectStore, template: LoadedTemplate): Promise<"published" | "there"> {
  const manifestKey = objectKey.templateManifest(template.name, template.digest);
  if (await store.getText(manifestKey)) return "there";
  const prefix = objectKey.template(template.name, template.digest);
  const entries = await Promise.all(
    template.nodes.map(async (node): Promise<SaveEntry> => {
      const common = { path: node.path, mode: node.mode, mtimeNs: "0" };
      if (node.type === "folder") return { ...common, type: "folder" };
      const body = await readFile(node.absolute);
      const sha256 = createHash("sha256").update(body).digest("hex");
      const key = prefix + node.path;
      const stored = await store.putFile(key, body, sha256);
      return { ...common, type: "file", sizeBytes: body.byteLength, sha256, key, version: stored.version };
    }),
  );
  const manifest = createManifest(
    {
      replId: template.name,
      generation: 0,
      parent: 0,
      sessionId: "template",
      createdAt: new Date().toISOString(),
      kind: "template",
      leftOut: [],
      inMotion: [],
    },
    entries,
  );
  await store.putText(manifestKey, writeSaveManifest(manifest));
  return "published";
}
