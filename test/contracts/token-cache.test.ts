import { afterAll } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { describeTokenCache } from "./token-cache.ts";

const closing: (() => void)[] = [];

describeTokenCache(() => {
  const redis = connectToRedis(stackVariable("REDIS_URL"));
  const cache = createRedisTokenCache(redis);
  closing.push(
    () => cache.close(),
    () => redis.disconnect(),
  );
  return cache;
});

afterAll(() => {
  for (const close of closing) close();
});
