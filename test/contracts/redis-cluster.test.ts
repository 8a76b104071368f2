import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { freePort } from "../../tools/free-port.ts";
import { describeRedisAdapters } from "./redis-adapters.ts";

const patience = { timeout: 20_000, interval: 100 };

/** A Redis in cluster mode that holds every slot: it refuses whatever touches two slots at once. */
describe("on Redis Cluster", () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-redis-cluster-"));
  let server: ChildProcess;
  let redis: Redis;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    const options = ["--port", String(port), "--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
    server = spawn("redis-server", [...options, "--bind", "127.0.0.1", "--dir", folder, "--save", ""], {
      stdio: "ignore",
    });
    redis = connectToRedis(url);
    await vi.waitFor(() => redis.cluster("ADDSLOTSRANGE", 0, 16_383), patience);
    await vi.waitUntil(async () => (await redis.cluster("INFO")).includes("cluster_state:ok"), patience);
  });
  afterAll(async () => {
    redis.disconnect();
    server.kill();
    await once(server, "exit");
    rmSync(folder, { recursive: true });
  });

  it("would be refused for two slots", async () => {
    await expect(redis.mset("a", "1", "b", "2")).rejects.toThrow("CROSSSLOT");
  });

  describeRedisAdapters(() => url);
});
