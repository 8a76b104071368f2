import { afterAll } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { describeReplEvents } from "./repl-events.ts";

const closing: (() => void)[] = [];

describeReplEvents(() => {
  const redis = connectToRedis(stackVariable("REDIS_URL"));
  const events = createRedisReplEvents(redis);
  closing.push(
    () => events.close(),
    () => redis.disconnect(),
  );
  return { events, listeners: events.listeners };
});

afterAll(() => {
  for (const close of closing) close();
});
