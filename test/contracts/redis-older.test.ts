import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { connectToRedis, type RedisClient } from "../../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { freePort } from "../../tools/free-port.ts";
import { untilEnded } from "../../tools/programs.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { describeOlderReplDirectory } from "./repl-directory.ts";
import { describeOlderTokenCache } from "./token-cache.ts";

const patience = { timeout: 30_000, interval: 50 };

interface Server {
  readonly port: number;
  readonly program: ChildProcess;
}

/** A server behind one address, whose place another one takes that knows less. */
describe.each(["restarts from its dump", "is replaced by a replica that lagged"] as const)("a Redis that %s", (how) => {
  const folder = mkdtempSync(join(tmpdir(), "devex-redis-older-"));
  const programs: ChildProcess[] = [];
  const clients: RedisClient[] = [];
  const closing: (() => void)[] = [];
  let behind: Server;
  const door = createServer((client) => {
    const server = connect(behind.port, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on("error", () => {});
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
  });

  async function start(port: number, ...options: string[]): Promise<Server> {
    const own = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--repl-diskless-sync-delay",
      "0",
    ];
    const program = spawn("redis-server", [...own, ...options], { stdio: "ignore" });
    programs.push(program);
    const server = { port, program };
    await vi.waitFor(() => ask(server, (redis) => redis.ping()), patience);
    return server;
  }
  async function ask<T>({ port }: Server, question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis({ host: "127.0.0.1", port, lazyConnect: true, retryStrategy: null });
    redis.on("error", () => {});
    return question(redis).finally(() => redis.disconnect());
  }
  async function kill({ program }: Server): Promise<void> {
    program.kill("SIGKILL");
    await untilEnded(program);
  }
  function connectThroughDoor(): RedisClient {
    const redis = connectToRedis(`redis://127.0.0.1:${(door.address() as AddressInfo).port}`);
    clients.push(redis);
    return redis;
  }

  async function restartFromDump(meanwhile: () => Promise<void>): Promise<void> {
    await ask(behind, (redis) => redis.save());
    await meanwhile();
    await kill(behind);
    behind = await start(behind.port);
  }

  async function replaceByReplica(meanwhile: () => Promise<void>): Promise<void> {
    const replica = await start(await freePort(), "--replicaof", "127.0.0.1", String(behind.port));
    const isCaughtUp = async () => {
      const offset = /master_repl_offset:(\d+)/.exec(await ask(behind, (redis) => redis.info("replication")))?.[1];
      const copied = await ask(replica, (redis) => redis.info("replication"));
      return copied.includes("master_link_status:up") && copied.includes(`slave_repl_offset:${offset}\r`);
    };
    await vi.waitUntil(isCaughtUp, patience);
    // From here on it hears nothing more of its master.
    await ask(replica, (redis) => redis.replicaof("NO", "ONE"));
    await meanwhile();
    await kill(behind);
    behind = replica;
  }

  async function comeBackOlder(meanwhile: () => Promise<void>): Promise<void> {
    await (how === "restarts from its dump" ? restartFromDump : replaceByReplica)(meanwhile);
    for (const client of clients) await vi.waitFor(() => client.ping(), patience);
  }

  beforeAll(async () => {
    behind = await start(await freePort());
    door.listen(0, "127.0.0.1");
    await once(door, "listening");
  });
  afterAll(async () => {
    for (const close of closing) close();
    for (const client of clients) client.disconnect();
    door.close();
    for (const program of programs) {
      program.kill("SIGKILL");
      await untilEnded(program);
    }
    rmSync(folder, { recursive: true });
  });

  describeOlderReplDirectory(async (readTruth) => ({
    directory: () => createRedisReplDirectory(connectThroughDoor(), { sessionTtlSeconds: 60, readTruth }),
    comeBackOlder,
  }));

  describeOlderTokenCache(() => {
    const cache = createRedisTokenCache(connectThroughDoor());
    closing.push(() => cache.close());
    return cache;
  }, comeBackOlder);

  it("answers where INFO is refused, too", async () => {
    await ask(behind, (redis) => redis.call("ACL", "SETUSER", "plain", "on", ">p", "~*", "&*", "+@all", "-info"));
    const redis = connectToRedis(`redis://plain:p@127.0.0.1:${behind.port}`);
    onTestFinished(() => redis.disconnect());
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const record = newRecord();
    const readTruth = vi.fn(async () => [{ record }]);
    const directory = createRedisReplDirectory(redis, { sessionTtlSeconds: 60, readTruth });
    for (let use = 0; use < 2; use++) expect(await directory.activeSession(record.owner.id, record.id)).toBeUndefined();
    expect(await directory.list(record.owner.id)).toMatchObject([{ id: record.id }]);
    expect(readTruth).toHaveBeenCalledOnce();
    await expect(redis.info()).rejects.toThrow("NOPERM");
  });

  it("frees the place of a start that never came to its end, long before a session would end", async () => {
    const truth = newRecord();
    const options = { sessionTtlSeconds: 12 * 3600, readTruth: async () => [{ record: truth }] };
    const directory = createRedisReplDirectory(connectThroughDoor(), options);
    const limits = { maxRepls: 9, maxActive: 9 };
    const place = await directory.reserve(truth, newSession(truth), limits, "starting");
    expect(place.epoch).not.toBe("");
    await expect(directory.reserve(truth, newSession(truth), limits, "starting")).rejects.toMatchObject({
      code: "conflict",
    });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31 * 60_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(await directory.activeSession(truth.owner.id, truth.id)).toBeUndefined();
    await directory.reserve(truth, newSession(truth), limits, "starting");
  });
});
