import { afterAll } from "vitest";
import { connectToRedis, type RedisClient } from "../../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { redisKey } from "../../domain/naming.ts";
import { describeReplDirectory } from "./repl-directory.ts";
import { describeReplEvents } from "./repl-events.ts";
import { describeTokenCache } from "./token-cache.ts";

/** The contract suites of all that is on Redis, run on the server at `url`. */
export function describeRedisAdapters(url: () => string): void {
  const closing: (() => void)[] = [];
  const connect = (): RedisClient => {
    const redis = connectToRedis(url());
    closing.push(() => redis.disconnect());
    return redis;
  };
  afterAll(() => {
    for (const close of closing) close();
  });

  describeReplDirectory(async (readTruth) => {
    const redis = connect();
    return {
      directory: createRedisReplDirectory(redis, { sessionTtlSeconds: 60, readTruth }),
      flush: async (userId) => {
        await Promise.all([redis.del(redisKey.userRepls(userId)), redis.del(redisKey.userIndex(userId))]);
      },
    };
  });
  describeReplEvents(() => {
    const events = createRedisReplEvents(connect());
    closing.push(() => events.close());
    return { events, listeners: events.listeners };
  });
  describeTokenCache(() => {
    const cache = createRedisTokenCache(connect());
    closing.push(() => cache.close());
    return cache;
  });
}
