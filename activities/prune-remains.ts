import { findRemains, newestOf, type Remains } from "../domain/bucket-remains.ts";
import { objectKey } from "../domain/naming.ts";
import { purge } from "../domain/purge.ts";
import type { ObjectStore, RecordName, Registry } from "../domain/ports.ts";
import type { ReplId } from "../domain/repl.ts";
import { numbersIn } from "../domain/save-history.ts";
import { parseSaveHeader } from "../domain/save.ts";
import { isOld } from "./prune-repl.ts";

/** More at once are no accidents: somebody has lost what we keep beside the files. */
const maximumRemoved = 10;
/** Holds every header but those that name thousands of left out paths. */
const headBytes = 16 * 1024;

export interface RemainsOfRepls {
  /** Prefixes where a REPL was never saved, because its create was cut short. */
  readonly starts: readonly string[];
  /** REPLs of which a pod that was cut off wrote something after their deletion. */
  readonly leftovers: readonly string[];
  /** Prefixes that hold saves, or too many to be removed, where somebody has to look. */
  readonly unrecorded: readonly string[];
  /** REPLs of which something is left to be looked at again: what is known of their deletion is still needed. */
  readonly young: ReadonlySet<ReplId>;
}

/**
 * Removes what lies in the bucket of REPLs that are in no record, once it is older than a day: files of creates that
 * never came to a save, and what was written after a deletion. Files of a REPL whose record was lost stay, and so does
 * everything that is not named as ours are. May be repeated.
 */
export function createPruneRemains({
  store,
  registry,
}: {
  readonly store: ObjectStore;
  readonly registry: Pick<Registry, "names" | "deletions" | "read">;
}) {
  /** `buried` are those that were undone or deleted: whatever is left of them, an attempt wrote that was slower than that. */
  return async (
    names: readonly RecordName[],
    buried: readonly RecordName[],
    signal: AbortSignal,
  ): Promise<RemainsOfRepls> => {
    const isBuried = namesOf(buried);
    const found: Record<"start" | "leftover" | "lost" | "young", Remains[]> = {
      start: [],
      leftover: [],
      lost: [],
      young: [],
    };
    const recorded = namesOf(names);
    for (const remains of await findRemains(store, (replId) => recorded.has(replId))) {
      signal.throwIfAborted();
      const kind = await kindOf(remains, isBuried.has(remains.replId));
      found[kind].push(remains);
    }
    const young = namesOf(found.young);
    const removable = [...found.start, ...found.leftover];
    const lost = found.lost.map(placeOf);
    if (removable.length > maximumRemoved)
      return {
        starts: [],
        leftovers: [],
        unrecorded: [...lost, ...removable.map(placeOf)],
        young: namesOf([...found.young, ...removable]),
      };
    const isStillNobodys = removable.length > 0 ? await lookAgain(buried) : () => true;
    for (const { prefixes } of removable.filter(isStillNobodys))
      for (const prefix of prefixes) {
        signal.throwIfAborted();
        await purge(store, prefix);
      }
    const [starts, leftovers] = [found.start, found.leftover].map((all) => all.filter(isStillNobodys).map(placeOf));
    return { starts: starts ?? [], leftovers: leftovers ?? [], unrecorded: lost, young };
  };

  /** That a name is missing is not believed at the first look. */
  async function lookAgain(buried: readonly RecordName[]): Promise<(remains: Remains) => boolean> {
    const [names, deletions] = await Promise.all([registry.names(), registry.deletions()]);
    const known = namesOf([...names, ...deletions]);
    for (const { userId, replId } of buried) if (!(await registry.read(userId, replId))) known.delete(replId);
    return ({ replId }) => !known.has(replId);
  }

  /**
   * Of a create that was cut short there never was a save, and without one there was no session: nobody has written
   * anything there. A REPL that was saved has its newest save and the one before it, or only a first one. What a pod
   * wrote after its REPL's deletion leads on from a save that is gone, and nothing leads on from it.
   */
  async function kindOf(remains: Remains, isBuried: boolean): Promise<"start" | "leftover" | "lost" | "young"> {
    if (await holdsAnything(objectKey.rescued(remains.replId))) return "lost";
    const hasManifests = await holdsAnything(objectKey.saves(remains.replId));
    if (hasManifests && !isBuried && !(await isLateWork(remains.replId))) return "lost";
    const newest = await newestOf(store, remains);
    if (newest && !isOld({ modifiedAt: newest }, new Date())) return "young";
    return hasManifests ? "leftover" : "start";
  }

  /** Asked in two ways: one empty answer would make a REPL whose record was lost a start that was cut short. */
  async function holdsAnything(prefix: string): Promise<boolean> {
    for await (const page of store.listVersions(prefix)) if (page.length > 0) return true;
    return (await store.list(prefix)).length > 0;
  }

  /** One checkpoint and no more: a deletion leaves no pod a second one, and what is done with a REPL leaves other saves. */
  async function isLateWork(replId: ReplId): Promise<boolean> {
    const [only, ...others] = numbersIn(await store.list(objectKey.saves(replId)), replId);
    if (only === undefined || others.length > 0) return false;
    const header = parseSaveHeader((await store.getHead(objectKey.save(replId, only), headBytes)) ?? "");
    return header?.kind === "checkpoint" && header.parent > 0;
  }
}

const namesOf = (all: readonly { readonly replId: ReplId }[]) => new Set(all.map(({ replId }) => replId));

/** Where a person would look first. */
const placeOf = ({ prefixes }: Remains): string => prefixes[0] ?? "";
