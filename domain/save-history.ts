import { mapConcurrently } from "./concurrency.ts";
import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore } from "./ports.ts";
import { readManifest, type ReadSave } from "./read-save.ts";
import type { ReplId, ReplRecord } from "./repl.ts";
import { parseSaveHeader, type SaveHeader } from "./save.ts";

type HistoryStore = Pick<ObjectStore, "list" | "getHead" | "getText">;

/** What looking into saves takes of the object store, their files too. */
export type SaveReads = HistoryStore & Pick<ObjectStore, "getStream" | "folders">;

export interface SavePage {
  /** Newest first. */
  readonly saves: readonly SaveHeader[];
  /** Where the next page begins; absent when there is none. */
  readonly before?: number;
}

/** Holds every header but those that name thousands of left out paths. */
const headBytes = 16 * 1024;
const concurrentReads = 24;

/**
 * The saves of a REPL before a generation, newest first. A manifest that an attempt left which never became a
 * save is not among them: no manifest after it has it as its parent.
 */
export async function listSaves(
  store: HistoryStore,
  record: ReplRecord,
  { before = Number.POSITIVE_INFINITY, limit }: { readonly before?: number | undefined; readonly limit: number },
): Promise<SavePage> {
  const all = await listGenerations(store, record);
  const wanted = all.filter((generation) => generation < before).slice(0, limit);
  const last = wanted.at(-1);
  const saves = await readSaves(store, record, all, wanted);
  const hasMore = last !== undefined && last !== all.at(-1);
  return { saves, ...(hasMore ? { before: last } : {}) };
}

/** One save with its manifest. Throws `not_found`. */
export async function findSave(store: HistoryStore, record: ReplRecord, generation: number): Promise<ReadSave> {
  const missing = new ReplError("not_found", `There is no save ${generation} of this REPL.`);
  const all = await listGenerations(store, record);
  if (!all.includes(generation)) throw missing;
  const [save] = await readSaves(store, record, all, [generation]);
  const found = save && (await readManifest(store, record.id, generation));
  if (!found) throw missing;
  return found;
}

/** The numbers of all manifests up to the newest save, newest first. */
export async function listGenerations(store: Pick<ObjectStore, "list">, record: ReplRecord): Promise<number[]> {
  const newest = record.lastSave?.generation ?? 0;
  return numbersIn(await store.list(objectKey.saves(record.id)), record.id).filter(
    (generation) => generation <= newest,
  );
}

/** The numbers of a REPL's manifests by their keys, newest first. */
export function numbersIn(keys: readonly string[], replId: ReplId): number[] {
  const prefix = objectKey.saves(replId);
  return keys
    .flatMap((key) => /^(\d+)\.json$/.exec(key.slice(prefix.length))?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/** Headers of those of the wanted manifests that are saves. `all` newest first. */
export async function readSaves(
  store: Pick<ObjectStore, "getHead" | "getText">,
  record: ReplRecord,
  all: readonly number[],
  wanted: readonly number[],
): Promise<SaveHeader[]> {
  const after = new Map(all.map((generation, index) => [generation, all[index - 1]]));
  const needed = new Set(wanted.flatMap((generation) => [generation, after.get(generation) ?? generation]));
  const headers = new Map(
    await mapConcurrently([...needed], { items: concurrentReads }, async (generation) => {
      return [generation, await readHeader(store, record, generation)] as const;
    }),
  );
  return wanted.flatMap((generation) => {
    const header = headers.get(generation);
    const next = after.get(generation);
    // The newest is the one that the record names. Of others the next manifest says whether it came after them;
    // where the one between was cleaned away, so was whatever had not become a save.
    const isSave = next === undefined || (headers.get(next)?.parent ?? 0) >= generation;
    return header && isSave ? [header] : [];
  });
}

async function readHeader(
  store: Pick<ObjectStore, "getHead" | "getText">,
  record: ReplRecord,
  generation: number,
): Promise<SaveHeader | undefined> {
  const key = objectKey.save(record.id, generation);
  const head = await store.getHead(key, headBytes);
  if (head === undefined) return undefined;
  const header = parseSaveHeader(head);
  if (header) return header;
  const whole = await store.getText(key);
  return whole && parseSaveHeader(whole.text);
}
