import { Context } from "@temporalio/activity";
import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { ListedVersion } from "../domain/ports.ts";
import type { ReplId, ReplRecord } from "../domain/repl.ts";
import { savesToKeep } from "../domain/retention.ts";
import { parseSaveManifest } from "../domain/save.ts";
import { listGenerations, readSaves } from "../domain/save-history.ts";
import type { Ports } from "./ports.ts";

export interface PruneResult {
  readonly repls: number;
  readonly savesRemoved: number;
  readonly versionsRemoved: number;
  /** REPLs that never had a save, because their create was cut short for good, whose files were removed. */
  readonly startsRemoved: number;
  /** Files and saves that no record names, where somebody has to look; the first few. */
  readonly unrecorded: readonly string[];
  /** REPLs that could not be looked at, and why; the first few. */
  readonly failed: readonly string[];
}

/** What no save names may be of one that is being made. */
const graceMs = 24 * 3_600_000;
/** While a REPL has more saves than this its files are left for another day: each of their manifests has to be read. */
const maximumManifests = 500;
const maximumTold = 10;
const maximumStarts = 10;
const concurrentRepls = 4;

/**
 * Removes the saves that the retention does not keep, then every version of a file that no manifest names any more,
 * and the files of creates that never came to a save, all once they are older than a day. A REPL that cannot be
 * looked at does not keep others from it. May be repeated.
 */
export function createPruneSaves({ store, registry }: Ports) {
  return async (): Promise<PruneResult> => {
    const context = Context.current();
    const result = {
      repls: 0,
      savesRemoved: 0,
      versionsRemoved: 0,
      startsRemoved: 0,
      unrecorded: [] as string[],
      failed: [] as string[],
    };
    const note = (list: string[], line: string) => void (list.length < maximumTold && list.push(line));
    const names = await registry.names();
    await mapConcurrently(names, { items: concurrentRepls }, async ({ userId, replId }) => {
      context.cancellationSignal.throwIfAborted();
      try {
        const record = await registry.read(userId, replId);
        if (!record) return;
        const removed = await pruneRepl(record);
        result.savesRemoved += removed.saves;
        result.versionsRemoved += removed.versions;
      } catch (error) {
        note(result.failed, `${replId}: ${messageOf(error)}`);
      }
      context.heartbeat(`${++result.repls} of ${names.length}`);
    });
    const unfinished: string[] = [];
    for await (const workspace of unrecordedWorkspaces(new Set(names.map(({ replId }) => replId)))) {
      context.cancellationSignal.throwIfAborted();
      const kind = await kindOf(workspace);
      if (kind === "unfinished") unfinished.push(workspace);
      if (kind === "lost") note(result.unrecorded, workspace);
    }
    // So many are no starts that were cut short: somebody has lost what we keep beside the files.
    const areStarts = unfinished.length <= maximumStarts;
    for (const workspace of unfinished) {
      if (areStarts) await removeStart(workspace);
      else note(result.unrecorded, workspace);
    }
    if (areStarts) result.startsRemoved = unfinished.length;
    return result;
  };

  async function* unrecordedWorkspaces(recorded: ReadonlySet<ReplId>): AsyncGenerator<string> {
    for (const owner of await store.folders("")) {
      if (objectKey.isInternal(owner)) continue;
      for (const workspace of await store.folders(owner)) if (!recorded.has(replIdOf(workspace))) yield workspace;
    }
  }

  /**
   * Files without a record are those of a create that was cut short, or of a REPL whose record was lost. Of the
   * first there never was a save, and without one there was no session: nobody has written anything there.
   */
  async function kindOf(workspace: string): Promise<"unfinished" | "lost" | "young"> {
    const now = new Date();
    for await (const page of store.listVersions(objectKey.saves(replIdOf(workspace))))
      if (page.length > 0) return "lost";
    for await (const page of store.listVersions(workspace))
      if (!page.every((version) => isOld(version, now))) return "young";
    return "unfinished";
  }

  async function removeStart(workspace: string): Promise<void> {
    await store.purge(workspace);
    await store.purge(objectKey.oddFiles(replIdOf(workspace)));
  }

  async function pruneRepl(record: ReplRecord): Promise<{ saves: number; versions: number }> {
    const now = new Date();
    const all = await listGenerations(store, record);
    const kept = savesToKeep(await readSaves(store, record, all, all), now);
    const dropped = all.filter((generation) => !kept.has(generation) && generation !== record.lastSave?.generation);
    const manifests = await removableManifests(record, dropped, now);
    if (manifests.length === 0) return { saves: 0, versions: 0 };
    await store.removeVersions(manifests);
    const left = all.length - manifests.length;
    const versions = left <= maximumManifests ? await removeUnnamed(record, now) : 0;
    return { saves: manifests.length, versions };
  }

  /** An attempt that is still under way has a manifest that is no save yet. */
  async function removableManifests(record: ReplRecord, generations: readonly number[], now: Date) {
    const keys = new Set(generations.map((generation) => objectKey.save(record.id, generation)));
    if (keys.size === 0) return [];
    const found: ListedVersion[] = [];
    for await (const page of store.listVersions(objectKey.saves(record.id)))
      found.push(...page.filter((version) => keys.has(version.key) && isOld(version, now)));
    return found;
  }

  async function removeUnnamed(record: ReplRecord, now: Date): Promise<number> {
    const named = new Set<string>();
    for (const key of await store.list(objectKey.saves(record.id))) {
      const object = await store.getText(key);
      if (!object) continue;
      for (const entry of parseSaveManifest(object.text).entries) if (entry.type === "file") named.add(nameOf(entry));
    }
    let removed = 0;
    for (const prefix of [objectKey.workspace(record.owner, record.id), objectKey.oddFiles(record.id)]) {
      const byKey = new Map<string, ListedVersion[]>();
      for await (const page of store.listVersions(prefix))
        for (const version of page) byKey.set(version.key, [...(byKey.get(version.key) ?? []), version]);
      for (const versions of byKey.values()) {
        const unnamed = versions.filter((version) => !named.has(nameOf(version)) && isOld(version, now));
        // A marker hides the versions that are kept below it.
        const removable = unnamed.length === versions.length ? unnamed : unnamed.filter(({ isMarker }) => !isMarker);
        await store.removeVersions(removable);
        removed += removable.length;
      }
    }
    return removed;
  }
}

function replIdOf(workspace: string): ReplId {
  return workspace.split("/").at(-2) ?? "";
}

function nameOf({ key, version }: { readonly key: string; readonly version: string }): string {
  return `${version} ${key}`;
}

function isOld({ modifiedAt }: ListedVersion, now: Date): boolean {
  return now.getTime() - modifiedAt.getTime() > graceMs;
}
