import { mapConcurrently } from "./concurrency.ts";
import { messageOf } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore, RecordName, Registry } from "./ports.ts";
import type { ReplRecord } from "./repl.ts";
import { readManifest } from "./read-save.ts";
import type { SaveHeader, SaveSummary } from "./save.ts";
import { numbersIn } from "./save-history.ts";

type ManifestStore = Pick<ObjectStore, "getText" | "list">;

const concurrentRepls = 4;

export interface CaughtUp {
  /** REPLs whose record names a newer save now. */
  readonly moved: readonly string[];
  /** Where several manifests lead on from one save, and which was taken, in words. */
  readonly forks: readonly string[];
  /** REPLs that could not be looked at, and why: their records are as they were. */
  readonly failed: readonly string[];
}

/**
 * Brings records that are older than their saves up to them, as after a registry came back from a backup: what leads
 * on, parent by parent, from the save that a record names becomes its save. May be repeated. Nobody may write meanwhile.
 */
export async function catchUpRegistry(store: ManifestStore, registry: Registry): Promise<CaughtUp> {
  const [moved, forks, failed]: [string[], string[], string[]] = [[], [], []];
  async function catchUp({ userId, replId }: RecordName): Promise<void> {
    const record = await registry.read(userId, replId);
    if (!record) return;
    const { newest, forks: found } = newestAfter(record, await laterManifests(store, record));
    if (!newest) return;
    await registry.update(userId, replId, (current) =>
      current.lastSave?.version === record.lastSave?.version ? { ...current, lastSave: newest } : current,
    );
    moved.push(replId);
    forks.push(...found.map((fork) => `${replId}: ${fork}`));
  }
  await mapConcurrently(await registry.names(), { items: concurrentRepls }, (name) =>
    catchUp(name).catch((error: unknown) => void failed.push(`${name.replId}: ${messageOf(error)}`)),
  );
  return { moved, forks, failed };
}

/** What of a manifest says where it belongs. */
type Candidate = Pick<SaveHeader, "generation" | "parent" | "sessionId" | "kind"> & { readonly summary: SaveSummary };

interface Later {
  /** Who made the save that the record names; undefined where that is not known. */
  readonly madeBy: string | undefined;
  readonly candidates: readonly Candidate[];
}

async function laterManifests(store: ManifestStore, { id, lastSave }: ReplRecord): Promise<Later> {
  const from = lastSave?.generation ?? 0;
  const candidates: Candidate[] = [];
  let madeBy: string | undefined;
  for (const generation of numbersIn(await store.list(objectKey.saves(id)), id)) {
    if (generation < from) continue;
    const save = await readManifest(store, id, generation);
    if (!save) throw new Error(`${objectKey.save(id, generation)} is listed, but cannot be read`);
    const { parent, sessionId, kind } = save.manifest;
    if (generation === from) madeBy = sessionId;
    else candidates.push({ generation, parent, sessionId, kind, summary: save.summary });
  }
  return { madeBy, candidates };
}

/**
 * Follows the manifests to the newest save. All that are there are whole, but one may be of a writer that was fenced,
 * or of an attempt that was given up, and its number may be the highest. Only what was a save has others lead on from it.
 */
function newestAfter({ sessionId, lastSave }: ReplRecord, { madeBy, candidates }: Later) {
  const childrenOf = Map.groupBy(candidates, ({ parent }) => parent);
  const lengths = new Map<number, number>();
  const lengthAfter = ({ generation }: Candidate): number => lengths.get(generation) ?? 0;
  for (const one of candidates.toSorted((a, b) => b.generation - a.generation))
    lengths.set(one.parent, Math.max(lengths.get(one.parent) ?? 0, 1 + lengthAfter(one)));
  /** In their order: once a later one had claimed the REPL, an earlier one could make no save. */
  const sessions = [madeBy, sessionId].filter((session) => session !== undefined);
  const turnOf = (session: string) => (sessions.includes(session) ? sessions.lastIndexOf(session) : sessions.length);
  const forks: string[] = [];
  let newest: Candidate | undefined;
  for (let at = lastSave?.generation ?? 0; ; at = newest.generation) {
    const [best, ...others] = (childrenOf.get(at) ?? []).toSorted(
      (a, b) =>
        Math.min(lengthAfter(b), 1) - Math.min(lengthAfter(a), 1) ||
        turnOf(b.sessionId) - turnOf(a.sessionId) ||
        lengthAfter(b) - lengthAfter(a) ||
        // A session makes no checkpoint after its last save.
        Number(b.kind === "close") - Number(a.kind === "close") ||
        b.generation - a.generation,
    );
    if (!best) return { newest: newest?.summary, forks };
    if (others.length > 0) forks.push(wordsOf(at, best, others));
    newest = best;
    if (turnOf(best.sessionId) === sessions.length) sessions.push(best.sessionId);
  }
}

function wordsOf(at: number, best: Candidate, others: readonly Candidate[]): string {
  const all = [best, ...others].map(({ generation }) => generation).sort((a, b) => a - b);
  const of = ({ generation, sessionId, kind }: Candidate) => `${generation} (${kind} of session ${sessionId})`;
  return `manifests ${all.join(", ")} lead on from save ${at}: taken ${of(best)}, left ${others.map(of).join(", ")}`;
}
