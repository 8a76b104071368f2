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

/** A manifest that is a save, or that nobody can tell from one. */
export interface FoundSave {
  readonly header: SaveHeader;
  /** False where what came after it was cleaned away. */
  readonly isCertain: boolean;
}

/** The saves of a REPL before a generation, newest first, without manifests of attempts that never became saves. */
export async function listSaves(
  store: HistoryStore,
  record: ReplRecord,
  { before = Number.POSITIVE_INFINITY, limit }: { readonly before?: number | undefined; readonly limit: number },
): Promise<SavePage> {
  const all = await listGenerations(store, record);
  const wanted = all.filter((generation) => generation < before).slice(0, limit);
  const last = wanted.at(-1);
  const saves = (await readSaves(store, record, all, wanted)).map(({ header }) => header);
  const hasMore = last !== undefined && last !== all.at(-1);
  return { saves, ...(hasMore ? { before: last } : {}) };
}

/** One save with its manifest. Throws `not_found`. */
export async function findSave(store: HistoryStore, record: ReplRecord, generation: number): Promise<ReadSave> {
  const missing = new ReplError("not_found", `There is no save ${generation} of this REPL.`);
  const all = await listGenerations(store, record);
  if (!all.includes(generation)) throw missing;
  const [save] = await readSaves(store, record, all, [generation]);
  const { lastSave } = record;
  const version = generation === lastSave?.generation ? lastSave.version : undefined;
  const found = save && (await readManifest(store, record.id, generation, version));
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

/** Those of the wanted manifests that are saves. `all` newest first. */
export async function readSaves(
  store: Pick<ObjectStore, "getHead" | "getText">,
  record: ReplRecord,
  all: readonly number[],
  wanted: readonly number[],
): Promise<FoundSave[]> {
  const places = new Map(all.map((generation, index) => [generation, index]));
  function* after(generation: number) {
    for (let at = (places.get(generation) ?? 0) - 1; at >= 0; at--) yield all[at] as number;
  }
  const headers = new Map<number, Promise<SaveHeader | undefined>>();
  const headerOf = (generation: number) => {
    const header = headers.get(generation) ?? readHeader(store, record, generation);
    headers.set(generation, header);
    return header;
  };
  const found = await mapConcurrently(wanted, { items: concurrentReads }, async (generation) => {
    const header = await headerOf(generation);
    const standing = header && (await standingOf(generation, after(generation), record, headerOf));
    return standing && standing !== "none" ? [{ header, isCertain: standing === "save" }] : [];
  });
  return found.flat();
}

/**
 * Whether a manifest became a save. Every manifest's parent was the newest save when its attempt began, so whatever
 * has a child was a save, and whatever a save passes over was none; that an attempt passes over it says nothing.
 * `after` are the manifests of higher numbers, the lowest first; few of them are looked at.
 */
async function standingOf(
  generation: number,
  after: Iterable<number>,
  { lastSave }: ReplRecord,
  headerOf: (generation: number) => Promise<SaveHeader | undefined>,
): Promise<"save" | "none" | "unknown"> {
  if (generation === lastSave?.generation) return "save";
  const passing = new Set<number>();
  for (const later of after) {
    const parent = (await headerOf(later))?.parent;
    if (parent === generation) return "save";
    // What leads to that save is here, or was cleaned away, perhaps with the child of this one.
    if (parent !== undefined && parent > generation) return passing.has(parent) ? "none" : "unknown";
    if (parent !== undefined) passing.add(later);
  }
  return passing.has(lastSave?.generation ?? 0) ? "none" : "unknown";
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
