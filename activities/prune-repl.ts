import { ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { ListedVersion, ObjectStore } from "../domain/ports.ts";
import type { ReplRecord } from "../domain/repl.ts";
import { isCleaningDue, savesToKeep } from "../domain/retention.ts";
import { listGenerations, numbersIn, readSaves } from "../domain/save-history.ts";
import { parseSaveManifest, type SaveSummary } from "../domain/save.ts";

/** What no save names may be of one that is being made. */
const graceMs = 24 * 3_600_000;

interface Manifest {
  readonly key: string;
  /** The current one when absent. */
  readonly version?: string;
}

type SavedRecord = ReplRecord & { readonly lastSave: SaveSummary };

/**
 * Removes the saves of one REPL that the retention does not keep, and then every version of a file that no manifest
 * names any more, all once they are older than a day. Nothing is taken for unnamed while a manifest that is listed
 * cannot be read, or while the newest save is not listed: it throws then. May be repeated.
 */
export function createPruneRepl(store: ObjectStore) {
  // Whatever answers "nothing there" for what the store has just listed, a missing header would be a save to remove.
  const insisting = {
    getText: (key: string) => store.getText(key),
    async getHead(key: string, bytes: number): Promise<string> {
      return (await store.getHead(key, bytes)) ?? unreadable(key);
    },
  };

  return async (record: ReplRecord, signal: AbortSignal): Promise<{ saves: number; versions: number }> => {
    if (!hasSave(record)) return { saves: 0, versions: 0 };
    const now = new Date();
    const all = await listGenerations(store, record);
    insistOnNewest(all, record);
    const saves = await readSaves(insisting, record, all, all);
    const keepable = saves.map(({ header, isCertain }) => ({ ...header, isDoubtful: !isCertain }));
    const kept = savesToKeep(keepable, now).add(record.lastSave.generation);
    // The oldest first: what a manifest is those after it tell, and a run that is cut off leaves them.
    const dropped = all.toReversed().filter((generation) => !kept.has(generation));
    const manifests = await removableManifests(record, dropped, now);
    signal.throwIfAborted();
    await store.removeVersions(manifests);
    const repl = {
      id: record.id,
      lastSavedAt: record.lastSave.savedAt,
      savesRemoved: manifests.length,
      entries: (all.length - manifests.length) * record.lastSave.files,
    };
    const versions = isCleaningDue(repl, now) ? await removeUnnamed(record, now, signal) : 0;
    return { saves: manifests.length, versions };
  };

  /** An attempt that is still under way has a manifest that is no save yet. */
  async function removableManifests(record: ReplRecord, generations: readonly number[], now: Date) {
    const byKey = new Map<string, ListedVersion[]>();
    for (const generation of generations) byKey.set(objectKey.save(record.id, generation), []);
    if (byKey.size === 0) return [];
    for await (const page of store.listVersions(objectKey.saves(record.id)))
      for (const version of page) if (isOld(version, now)) byKey.get(version.key)?.push(version);
    return [...byKey.values()].flat();
  }

  async function removeUnnamed(record: SavedRecord, now: Date, signal: AbortSignal): Promise<number> {
    const byKey = await versionsOfFiles(record);
    const unnamed = new Set<string>();
    for (const versions of byKey.values())
      for (const version of versions) if (!version.isMarker && isOld(version, now)) unnamed.add(nameOf(version));
    await leaveNamed(unnamed, record, signal);
    let removed = 0;
    for (const versions of byKey.values()) {
      const removable = versions.filter(
        (version) => isOld(version, now) && (version.isMarker || unnamed.has(nameOf(version))),
      );
      // A marker hides the versions that are kept below it.
      const chosen = removable.length === versions.length ? removable : removable.filter(({ isMarker }) => !isMarker);
      if (chosen.length === 0) continue;
      signal.throwIfAborted();
      await store.removeVersions(chosen);
      removed += chosen.length;
    }
    return removed;
  }

  async function versionsOfFiles(record: ReplRecord): Promise<Map<string, ListedVersion[]>> {
    const byKey = new Map<string, ListedVersion[]>();
    for (const prefix of [objectKey.workspace(record.owner, record.id), objectKey.oddFiles(record.id)])
      for await (const page of store.listVersions(prefix))
        for (const version of page) {
          const versions = byKey.get(version.key);
          if (versions) versions.push(version);
          else byKey.set(version.key, [version]);
        }
    return byKey;
  }

  /** Takes away what any manifest names. The newest names most of it, and after the oldest ones often nothing is left. */
  async function leaveNamed(unnamed: Set<string>, record: SavedRecord, signal: AbortSignal): Promise<void> {
    for (const { key, version } of [...(await versionsOfManifests(record)), ...(await rescued(record))]) {
      if (unnamed.size === 0) return;
      signal.throwIfAborted();
      const { replId, entries } = parseSaveManifest(((await store.getText(key, version)) ?? unreadable(key)).text);
      if (replId !== record.id) throw new ReplError("unavailable", `${key} is not what its name says`);
      for (const entry of entries) if (entry.type === "file") unnamed.delete(nameOf(entry));
    }
  }

  /**
   * The newest save and then the oldest first. Two attempts of a create may both have written the first one: the record
   * names a version of it, and its history is read without.
   */
  async function versionsOfManifests({ id, lastSave }: SavedRecord) {
    const found: (Manifest & { readonly generation: number })[] = [];
    for await (const page of store.listVersions(objectKey.saves(id)))
      for (const { key, version, isMarker } of page) {
        const [generation] = isMarker ? [] : numbersIn([key], id);
        if (generation !== undefined) found.push({ key, version, generation });
      }
    const isNewest = ({ generation, version }: (typeof found)[number]) =>
      generation === lastSave.generation && version === lastSave.version;
    if (!found.some(isNewest)) unlisted(lastSave);
    return found.toSorted((a, b) => Number(isNewest(b)) - Number(isNewest(a)) || a.generation - b.generation);
  }

  /** Manifests of what was rescued, by their place, because a person's file may begin as they do. They may name files of the workspace. */
  async function rescued({ id }: SavedRecord): Promise<Manifest[]> {
    const manifests: Manifest[] = [];
    for (const ofSession of await store.folders(objectKey.rescued(id)))
      for (const key of await store.list(ofSession + objectKey.saves(id))) manifests.push({ key });
    return manifests;
  }
}

const hasSave = (record: ReplRecord): record is SavedRecord => record.lastSave !== undefined;

function insistOnNewest(generations: readonly number[], { lastSave }: SavedRecord): void {
  if (!generations.includes(lastSave.generation)) unlisted(lastSave);
}

function unlisted({ generation }: SaveSummary): never {
  throw new ReplError("unavailable", `the store does not list save ${generation}, the newest one`);
}

function unreadable(key: string): never {
  throw new ReplError("unavailable", `${key} is listed, but cannot be read`);
}

function nameOf({ key, version }: { readonly key: string; readonly version: string }): string {
  return `${version} ${key}`;
}

export function isOld({ modifiedAt }: Pick<ListedVersion, "modifiedAt">, now: Date): boolean {
  return now.getTime() - modifiedAt.getTime() > graceMs;
}
