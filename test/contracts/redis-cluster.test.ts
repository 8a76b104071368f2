import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectToRedis, type RedisClient } from "../../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { warningEvent } from "../../domain/events.ts";
import type { LoggedEvent } from "../../domain/ports.ts";
import { freePort } from "../../tools/free-port.ts";
import { untilEnded } from "../../tools/programs.ts";
import { run } from "../../tools/stack/commands.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { describeRedisAdapters } from "./redis-adapters.ts";

const patience = { timeout: 60_000, interval: 200 };
const limits = { maxRepls: 100, maxActive: 100 };

interface Node {
  readonly port: number;
  readonly server: ChildProcess;
}

/** Three masters with a third of the slots each, and a replica of each that takes its place. */
describe("on Redis Cluster", () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-redis-cluster-"));
  const nodes: Node[] = [];
  const password = "p@ss";
  let redis: RedisClient;
  let url = "";

  async function startNode(): Promise<Node> {
    const [port, bus] = [await freePort(), await freePort()];
    const own = join(folder, String(port));
    mkdirSync(own);
    const identity = `--requirepass ${password} --masterauth ${password}`;
    const cluster = `--cluster-enabled yes --cluster-port ${bus} --cluster-node-timeout 1000`;
    const options = `--port ${port} --bind 127.0.0.1 --dir ${own} ${identity} ${cluster} --repl-diskless-sync-delay 0`;
    const server = spawn("redis-server", [...options.split(" "), "--save", ""], { stdio: "ignore" });
    return { port, server };
  }

  const at = ({ port }: Node) => new Redis({ host: "127.0.0.1", port, password, lazyConnect: true });
  async function ask<T>(node: Node, question: (redis: Redis) => Promise<T>): Promise<T> {
    const one = at(node);
    one.on("error", () => {});
    return question(one).finally(() => one.disconnect());
  }
  const isWell = async (node: Node) => (await ask(node, (one) => one.cluster("INFO"))).includes("cluster_state:ok");

  beforeAll(async () => {
    for (let count = 0; count < 6; count++) nodes.push(await startNode());
    for (const node of nodes) await vi.waitFor(() => ask(node, (one) => one.ping()), patience);
    const places = nodes.map(({ port }) => `127.0.0.1:${port}`);
    await run("redis-cli", [
      "-a",
      password,
      "--cluster",
      "create",
      ...places,
      "--cluster-replicas",
      "1",
      "--cluster-yes",
    ]);
    for (const node of nodes) await vi.waitUntil(() => isWell(node), patience);
    // One that has not caught up yet takes nobody's place.
    const replicas = nodes.slice(nodes.length / 2);
    const caughtUp = async (node: Node) =>
      (await ask(node, (one) => one.info("replication"))).includes("master_link_status:up");
    for (const node of replicas) await vi.waitUntil(() => caughtUp(node), patience);
    url = `redis-cluster://:${encodeURIComponent(password)}@${places.slice(0, 2).join(",")}`;
    redis = connectToRedis(url);
    await vi.waitFor(() => redis.ping(), patience);
  }, 120_000);
  afterAll(async () => {
    redis.disconnect();
    for (const { server } of nodes) {
      server.kill("SIGKILL");
      await untilEnded(server);
    }
    rmSync(folder, { recursive: true });
  });

  it("would be refused for two slots", async () => {
    const [first] = nodes as [Node];
    await expect(ask(first, (one) => one.mset("a", "1", "b", "2"))).rejects.toThrow("CROSSSLOT");
  });

  describeRedisAdapters(() => url);

  describe.each([
    { how: "hangs", which: 0, signal: "SIGSTOP" },
    { how: "dies", which: 1, signal: "SIGKILL" },
  ] as const)("with a master that $how", ({ which, signal }) => {
    it("goes on with its replica: look-ups, marks and news", async () => {
      const own = connectToRedis(url);
      const truth = new Map<string, ReturnType<typeof newRecord>[]>();
      const readTruth = async (userId: string) => (truth.get(userId) ?? []).map((record) => ({ record }));
      const directory = createRedisReplDirectory(own, { sessionTtlSeconds: 600, readTruth });
      const events = createRedisReplEvents(own);
      // So many that there are some on each node.
      const records = Array.from({ length: 30 }, () => newRecord());
      for (const record of records) truth.set(record.owner.id, [record]);
      const ending = new AbortController();
      const heard = new Map<string, LoggedEvent[]>();
      const following: Promise<void>[] = [];
      /** As a browser does, which comes back with the last id when its stream breaks. */
      async function follow(replId: string, seen: LoggedEvent[]): Promise<void> {
        while (!ending.signal.aborted)
          try {
            for await (const event of await events.follow(replId, seen.at(-1)?.id, ending.signal)) seen.push(event);
          } catch {
            await delay(patience.interval);
          }
      }
      await vi.waitFor(() => directory.check(), patience);
      for (const record of records) {
        await directory.reserve(record, newSession(record), limits, "starting");
        const seen: LoggedEvent[] = [];
        heard.set(record.id, seen);
        following.push(follow(record.id, seen));
      }
      const marked = async () => {
        const all: string[] = [];
        for await (const page of directory.marks()) all.push(...page.map(({ replId }) => replId));
        return all.filter((id) => heard.has(id));
      };
      expect((await marked()).sort()).toEqual(records.map(({ id }) => id).sort());

      const lost = nodes[which];
      lost?.server.kill(signal);
      const others = nodes.filter((node) => node !== lost);
      await vi.waitFor(async () => {
        for (const { owner } of records) expect(await directory.list(owner.id)).toHaveLength(1);
        expect((await marked()).length).toBeGreaterThan(0);
      }, patience);
      for (const node of others) await vi.waitUntil(() => isWell(node), patience);
      for (const { id } of records)
        await vi.waitFor(async () => {
          events.publish(id, warningEvent("after"));
          await vi.waitFor(() => expect(heard.get(id)?.length).toBeGreaterThan(0), { timeout: 2000, interval: 50 });
        }, patience);
      lost?.server.kill("SIGCONT");
      ending.abort();
      await Promise.all(following);
      events.close();
      own.disconnect();
    }, 180_000);
  });
});
