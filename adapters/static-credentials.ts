import type { Credentials, SyncCredentials } from "../domain/ports.ts";

/**
 * Gives every session the same long-lived keys, for object stores that issue no short-lived ones. They are
 * mounted in the restore and save containers only, never in the user's.
 */
export function createStaticCredentials(keys: SyncCredentials): Credentials {
  return { issue: async () => keys };
}
