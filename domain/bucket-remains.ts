import { mapConcurrently } from "./concurrency.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore } from "./ports.ts";
import { isReplId, type ReplId } from "./repl.ts";

/** What lies in the bucket of a REPL without a record. */
export interface Remains {
  readonly replId: ReplId;
  readonly prefixes: readonly string[];
}

const concurrentOwners = 8;

/** Folders of files and saves that are named as ours are, and belong to none of these REPLs. What is hidden is not found. */
export async function findRemains(
  store: Pick<ObjectStore, "folders">,
  isRecorded: (replId: ReplId) => boolean,
): Promise<Remains[]> {
  const owners = (await store.folders("")).filter((owner) => !objectKey.isInternal(owner));
  const parents = [...owners, objectKey.allSaves, objectKey.allOddFiles];
  const folders = await mapConcurrently(parents, { items: concurrentOwners }, (parent) => store.folders(parent));
  const prefixes = new Map<ReplId, string[]>();
  for (const folder of folders.flat()) {
    const replId = folder.split("/").at(-2) ?? "";
    if (isReplId(replId) && !isRecorded(replId)) prefixes.set(replId, [...(prefixes.get(replId) ?? []), folder]);
  }
  return [...prefixes].map(([replId, all]) => ({ replId, prefixes: all }));
}

/** When something was last stored there; undefined when nothing is there any more. */
export async function newestOf(
  store: Pick<ObjectStore, "listVersions">,
  { prefixes }: Remains,
): Promise<Date | undefined> {
  let newest: Date | undefined;
  for (const prefix of prefixes)
    for await (const page of store.listVersions(prefix))
      for (const { modifiedAt } of page) if (!newest || modifiedAt > newest) newest = modifiedAt;
  return newest;
}
