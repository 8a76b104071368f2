import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { redisKey } from "../../domain/naming.ts";
import { describeReplDirectory } from "./repl-directory.ts";
import { describeReplEvents } from "./repl-events.ts";
import { describeTokenCache } from "./token-cache.ts";

/** A Redis in cluster mode that holds every slot: it refuses whatever touches two slots at once. */
describe("on Redis Cluster", () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-redis-cluster-"));
  const closing: (() => void)[] = [];
  let server: ChildProcess;
  let port = 0;

  beforeAll(async () => {
    port = await freePort();
    const options = ["--port", String(port), "--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
    server = spawn("redis-server", [...options, "--bind", "127.0.0.1", "--dir", folder, "--save", ""], {
      stdio: "ignore",
    });
    const redis = connect();
    await vi.waitFor(() => redis.cluster("ADDSLOTSRANGE", 0, 16_383), { timeout: 20_000, interval: 100 });
    await vi.waitUntil(async () => (await redis.cluster("INFO")).includes("cluster_state:ok"), {
      timeout: 20_000,
      interval: 100,
    });
  });
  afterAll(async () => {
    for (const close of closing) close();
    server.kill();
    await once(server, "exit");
    rmSync(folder, { recursive: true });
  });

  function connect() {
    const redis = connectToRedis(`redis://127.0.0.1:${port}`);
    closing.push(() => redis.disconnect());
    return redis;
  }

  it("would be refused for two slots", async () => {
    await expect(connect().mset("a", "1", "b", "2")).rejects.toThrow("CROSSSLOT");
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
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}
