import { ReplError } from "./errors.ts";
import type { ListedVersion, ObjectStore } from "./ports.ts";

/** S3 removes at most this many versions in one request. */
const batch = 1000;

/**
 * Removes every version of everything under a prefix. Each page is listed and removed before the next, so that a
 * repetition goes on where this one ended, and a caller that has lost its lease ends between two. Throws `unavailable`
 * when the store says that it removed what it still lists.
 */
export async function purge(
  store: Pick<ObjectStore, "listVersions" | "removeVersions">,
  prefix: string,
): Promise<void> {
  let before = "";
  for (;;) {
    const page = await firstPage(store, prefix);
    if (page.length === 0) return;
    const names = JSON.stringify(page.map(({ key, version }) => [key, version]));
    if (names === before)
      throw new ReplError("unavailable", `The object store does not remove what it lists under ${prefix}.`);
    before = names;
    for (let start = 0; start < page.length; start += batch)
      await store.removeVersions(page.slice(start, start + batch));
  }
}

async function firstPage(store: Pick<ObjectStore, "listVersions">, prefix: string): Promise<readonly ListedVersion[]> {
  for await (const page of store.listVersions(prefix)) if (page.length > 0) return page;
  return [];
}
