import { mapConcurrently } from "./concurrency.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore, Registry } from "./ports.ts";
import type { ReplRecord } from "./repl.ts";
import { readManifest } from "./read-save.ts";
import type { SaveSummary } from "./save.ts";
import { numbersIn } from "./save-history.ts";

type ManifestStore = Pick<ObjectStore, "getText" | "list">;

const concurrentRepls = 4;

/**
 * Brings records that are older than their saves up to them, as after a registry came back from a backup: of the
 * manifests that lead on, parent by parent, from the save that a record names, the newest becomes its save. Returns the
 * REPLs whose record was moved. May be repeated. Nobody may write meanwhile.
 */
export async function catchUpRegistry(store: ManifestStore, registry: Registry): Promise<string[]> {
  const moved: string[] = [];
  await mapConcurrently(await registry.names(), { items: concurrentRepls }, async ({ userId, replId }) => {
    const record = await registry.read(userId, replId);
    const newest = record && (await newestAfter(store, record));
    if (!newest) return;
    await registry.update(userId, replId, (current) =>
      current.lastSave?.version === record.lastSave?.version ? { ...current, lastSave: newest } : current,
    );
    moved.push(replId);
  });
  return moved;
}

async function newestAfter(store: ManifestStore, { id, lastSave }: ReplRecord): Promise<SaveSummary | undefined> {
  const from = lastSave?.generation ?? 0;
  const later = numbersIn(await store.list(objectKey.saves(id)), id).filter((generation) => generation > from);
  const found = new Map<number, { readonly parent: number; readonly summary: SaveSummary }>();
  for (const generation of later) {
    const save = await readManifest(store, id, generation);
    if (save) found.set(generation, { parent: save.manifest.parent, summary: save.summary });
  }
  const leadsOn = (generation: number): boolean => {
    const { parent } = found.get(generation) ?? {};
    return parent !== undefined && (parent === from || leadsOn(parent));
  };
  // An attempt that never moved the pointer is whole too: its manifest is written when all its files are there.
  const newest = later.find(leadsOn);
  return newest === undefined ? undefined : found.get(newest)?.summary;
}
