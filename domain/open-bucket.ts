import type { ObjectStore, RegistryHome } from "./ports.ts";
import { beginningRefused, registryProblem, type Beginning } from "./registry-home.ts";
import { missingAbility } from "./try-store.ts";

/**
 * Makes a bucket ready to be served with its records in `home`: it exists, its store has shown what it can, and
 * last, it has its sentinel. What keeps it from being served is returned in words. May be repeated.
 */
export async function openBucket(
  store: ObjectStore,
  home: RegistryHome,
  beginning: Beginning,
): Promise<string | undefined> {
  await store.prepare({ mayCreate: beginningRefused(beginning) === undefined });
  const lack = await missingAbility(store);
  if (lack !== undefined) return lack;
  return registryProblem(store, home, beginning);
}
