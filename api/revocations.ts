import { objectKey } from "../domain/naming.ts";
import { ReplError } from "../domain/errors.ts";
import type { ObjectStore, TokenCache } from "../domain/ports.ts";

/** How long a token is taken for good without a look into the object store. */
const goodSeconds = 600;

export type Revocations = ReturnType<typeof createRevocations>;

/**
 * Ended sessions. The truth is an object per revoked token, so a logout outlives a flush of Redis; Redis
 * remembers the answer. It never turns `revoked` into `good`, and `good` is asked again every ten minutes.
 */
export function createRevocations(store: Pick<ObjectStore, "getText" | "putText">, cache: TokenCache) {
  return {
    /** Whether a token is good for certain, without a question to anybody. */
    isKnownGood: (tokenId: string): boolean => cache.isKnownGood(tokenId),

    async isRevoked(tokenId: string): Promise<boolean> {
      // While the cache is away every question goes to the store: slower, but never wrong.
      const known = await cache.get(tokenId).catch(ifUnavailable);
      if (known) return known === "revoked";
      const isRevoked = (await store.getText(objectKey.revokedToken(tokenId))) !== undefined;
      await cache.note(tokenId, isRevoked ? "revoked" : "good", goodSeconds).catch(ifUnavailable);
      return isRevoked;
    },

    /** Resolves when no process accepts the token any more. `expires`: seconds since 1970. */
    async revoke(tokenId: string, expires: number): Promise<void> {
      const expiresAt = new Date(expires * 1000).toISOString();
      await store.putText(objectKey.revokedToken(tokenId), JSON.stringify({ expiresAt }));
      const seconds = Math.max(1, Math.ceil(expires - Date.now() / 1000));
      await cache.note(tokenId, "revoked", seconds).catch(ifUnavailable);
    },
  };
}

function ifUnavailable(error: unknown): undefined {
  if (error instanceof ReplError && error.code === "unavailable") return undefined;
  throw error;
}
