import { afterAll } from "vitest";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { describeReplDirectory } from "./repl-directory.ts";

const opened: { close(): Promise<void> }[] = [];

describeReplDirectory(() => {
  const directory = createRedisReplDirectory({ url: stackVariable("REDIS_URL"), sessionTtlSeconds: 60 });
  opened.push(directory);
  return directory;
});

afterAll(async () => {
  for (const directory of opened) await directory.close();
});
