import { afterAll } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { redisKey } from "../../domain/naming.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { describeReplDirectory } from "./repl-directory.ts";

const opened: { disconnect(): void }[] = [];

describeReplDirectory(async (readTruth) => {
  const redis = connectToRedis(stackVariable("REDIS_URL"));
  opened.push(redis);
  return {
    directory: createRedisReplDirectory(redis, { sessionTtlSeconds: 60, readTruth }),
    flush: async (userId) => {
      await Promise.all([redis.del(redisKey.userRepls(userId)), redis.del(redisKey.userIndex(userId))]);
    },
  };
});

afterAll(() => {
  for (const redis of opened) redis.disconnect();
});
