import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { RedisByTurns } from "../../../adapters/redis-by-turns.ts";

const timeoutMs = 100;
const late = { status: "rejected", reason: expect.objectContaining({ message: "Command timed out" }) as unknown };
const answered = { status: "fulfilled", value: "PONG" };

/** A server that answers every `PING` with the same, of which it may leave out the last. */
describe("commands of one turn", () => {
  let answers = Infinity;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const pings = bytes.toString().toLowerCase().split("ping").length - 1;
      const now = Math.min(pings, answers);
      answers -= now;
      socket.write("+PONG\r\n".repeat(now));
    });
  });
  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterAll(() => void server.close());

  async function connected(): Promise<RedisByTurns> {
    const { port } = server.address() as AddressInfo;
    const quiet = { enableReadyCheck: false, disableClientInfo: true, protocol: 2 as const };
    const redis = new RedisByTurns(timeoutMs, { ...quiet, host: "127.0.0.1", port });
    redis.on("error", () => {});
    onTestFinished(() => redis.disconnect());
    answers = Infinity;
    await redis.ping();
    return redis;
  }

  it("stay answered when their time is over", async () => {
    const redis = await connected();
    expect(await Promise.all([redis.ping(), redis.ping()])).toEqual(["PONG", "PONG"]);
    await delay(2 * timeoutMs);
    expect(await redis.ping()).toBe("PONG");
  });

  it("fail when none is answered", async () => {
    const redis = await connected();
    answers = 0;
    expect(await Promise.allSettled([redis.ping(), redis.ping()])).toMatchObject([late, late]);
  });

  it("fail alone where others of their turn were answered, in other turns too", async () => {
    const redis = await connected();
    answers = 1;
    const first = Promise.allSettled([redis.ping(), redis.ping(), redis.ping()]);
    await delay(timeoutMs / 2);
    const second = Promise.allSettled([redis.ping()]);
    expect(await first).toMatchObject([answered, late, late]);
    expect(await second).toMatchObject([late]);
  });
});
