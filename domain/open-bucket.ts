import type { ObjectStore, RegistryHome } from "./ports.ts";
import { registryProblem } from "./registry-home.ts";

/**
 * Makes a bucket ready to be served with its records in `home`: it exists and keeps versions, and last, it has its
 * sentinel. What keeps it from being served is returned in words. May be repeated.
 */
export async function openBucket(
  store: ObjectStore,
  home: RegistryHome,
  { hasSessions }: { readonly hasSessions: boolean },
): Promise<string | undefined> {
  await store.prepare({ mayCreate: !hasSessions });
  return registryProblem(store, home, { hasSessions });
}
