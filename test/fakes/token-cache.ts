import type { TokenCache } from "../../domain/ports.ts";

/** What is remembered of tokens, in memory. */
export function createFakeTokenCache() {
  let states = new Map<string, "good" | "revoked">();
  const cache: TokenCache = {
    isKnownGood: (tokenId) => states.get(tokenId) === "good",
    async get(tokenId) {
      return states.get(tokenId);
    },
    async note(tokenId, state) {
      if (state === "revoked" || !states.has(tokenId)) states.set(tokenId, state);
    },
  };
  return {
    cache,
    flush() {
      states = new Map();
    },
  };
}
