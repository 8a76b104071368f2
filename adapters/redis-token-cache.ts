import { LRUCache } from "lru-cache";
import { redisKey } from "../domain/naming.ts";
import type { TokenCache } from "../domain/ports.ts";
import { connectToHear, type RedisClient } from "./redis-connection.ts";
import { answered, loadScript, readScript } from "./redis-scripts.ts";

const tokensInMemory = 10_000;
/** Revocations are heard at once; this bounds what a lost message could cost. */
const rememberedMs = 10_000;

/**
 * What is remembered of tokens, in Redis. Good ones are remembered in memory too, as long as this process hears
 * of revocations: while the connection for that is down, Redis is asked each time.
 */
export function createRedisTokenCache(redis: RedisClient): TokenCache & { close(): void } {
  const history = readScript("history");
  const getToken = loadScript(redis, "get-token", history);
  const noteGoodToken = loadScript(redis, "note-good-token", history);
  const good = new LRUCache<string, true>({ max: tokensInMemory, ttl: rememberedMs });
  let hears = false;
  const subscriber = connectToHear(redis, {
    channels: () => [redisKey.revokedTokens],
    onHearing: () => (hears = true),
  });
  subscriber.on("close", () => {
    hears = false;
    good.clear();
  });
  subscriber.on("message", (_channel: string, tokenId: string) => good.delete(tokenId));
  const isKnownGood = (tokenId: string): boolean => good.has(tokenId);

  return {
    isKnownGood,

    async get(tokenId) {
      if (isKnownGood(tokenId)) return "good";
      const heardBefore = hears;
      const state = await getToken([redisKey.token(tokenId)], []);
      // Asked while deaf, the answer may be old by now.
      if (state === "good" && heardBefore && hears) good.set(tokenId, true);
      return state === "good" || state === "revoked" ? state : undefined;
    },

    async note(tokenId, state, seconds) {
      if (state === "good") {
        await noteGoodToken([redisKey.token(tokenId)], [seconds]);
        return;
      }
      good.delete(tokenId);
      await answered(redis, () => redis.set(redisKey.token(tokenId), state, "EX", seconds));
      await answered(redis, () => redis.publish(redisKey.revokedTokens, tokenId));
    },

    close() {
      subscriber.disconnect();
    },
  };
}
