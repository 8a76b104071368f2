import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { freePort } from "../../tools/free-port.ts";
import { describeRedisAdapters } from "./redis-adapters.ts";

// A Sentinel on a machine that stood still waits for half a minute before it trusts its clock again.
const patience = { timeout: 60_000, interval: 200 };

/** Two servers with a password, and a Sentinel that knows which of them is the master. */
describe.each([
  { how: "dies", signal: "SIGKILL" },
  { how: "hangs", signal: "SIGSTOP" },
] as const)("by Redis Sentinel, whose master $how", ({ signal, how }) => {
  const folder = mkdtempSync(join(tmpdir(), "devex-redis-sentinel-"));
  const programs: ChildProcess[] = [];
  let url = "";
  let master: ChildProcess;

  const start = (...args: string[]): ChildProcess => {
    const program = spawn("redis-server", args, { stdio: "ignore" });
    programs.push(program);
    return program;
  };

  beforeAll(async () => {
    const [first, second, sentinel] = [await freePort(), await freePort(), await freePort()];
    const options = [
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--requirepass",
      "p@ss",
      "--masterauth",
      "p@ss",
    ];
    master = start("--port", String(first), ...options);
    start("--port", String(second), ...options, "--replicaof", "127.0.0.1", String(first));
    const file = join(folder, "sentinel.conf");
    writeFileSync(
      file,
      [
        `port ${sentinel}`,
        "bind 127.0.0.1",
        `dir ${folder}`,
        `sentinel monitor main 127.0.0.1 ${first} 1`,
        "sentinel auth-pass main p@ss",
        "sentinel down-after-milliseconds main 1000",
        "sentinel failover-timeout main 3000",
      ].join("\n"),
    );
    start(file, "--sentinel");
    const knows = new Redis({ host: "127.0.0.1", port: sentinel });
    knows.on("error", () => {});
    const replicas = () => knows.call("SENTINEL", "REPLICAS", "main") as Promise<unknown[]>;
    await vi.waitUntil(
      () =>
        replicas().then(
          ({ length }) => length === 1,
          () => false,
        ),
      patience,
    );
    knows.disconnect();
    url = `redis-sentinel://:p%40ss@127.0.0.1:${sentinel}/main`;
  }, 120_000);
  afterAll(async () => {
    for (const program of programs) {
      if (program.exitCode !== null || program.signalCode !== null) continue;
      program.kill("SIGKILL");
      await once(program, "exit");
    }
    rmSync(folder, { recursive: true });
  });

  describeRedisAdapters(() => url);

  it(`goes on with the other server when the master ${how}`, { timeout: 120_000 }, async () => {
    const redis = connectToRedis(url);
    onTestFinished(() => redis.disconnect());
    expect(await redis.set("before", "1")).toBe("OK");
    master.kill(signal);
    await vi.waitFor(async () => expect(await redis.set("after", "1")).toBe("OK"), patience);
  });
});
