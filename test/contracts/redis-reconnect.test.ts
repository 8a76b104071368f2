import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { errorEvent } from "../../domain/events.ts";
import { newRecord } from "../fakes/records.ts";
import { stackVariable } from "../setup/stack-variables.ts";

/** Redis behind a door that can cut all connections, and keep what asks to hear something from passing. */
describe("a Redis that comes back and does not answer who wants to hear", () => {
  const sockets = new Set<Socket>();
  const url = new URL(stackVariable("REDIS_URL"));
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  let isDeaf = false;
  let subscriptions = 0;

  const door = createServer((client) => {
    const server = connect(Number(url.port), url.hostname);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    client.on("data", (bytes) => {
      if (bytes.includes("subscribe")) {
        subscriptions++;
        if (isDeaf) return;
      }
      server.write(bytes);
    });
    server.pipe(client);
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const throughTheDoor = () => {
    const there = new URL(url);
    there.port = String((door.address() as AddressInfo).port);
    return connectToRedis(there.href);
  };

  beforeAll(async () => {
    process.prependListener("unhandledRejection", note);
    door.listen(0, url.hostname);
    await once(door, "listening");
  });
  afterAll(() => {
    process.off("unhandledRejection", note);
    door.close();
    cut();
  });

  it("is asked again until it does, and nothing said meanwhile is missed", async () => {
    const redis = throughTheDoor();
    const events = createRedisReplEvents(redis);
    const tokens = createRedisTokenCache(redis);
    const { id } = newRecord();
    const stream = await events.follow(id, undefined, new AbortController().signal);

    [isDeaf, subscriptions] = [true, 0];
    cut();
    // Both have come back, were not answered within their two seconds, and come back once more.
    await vi.waitUntil(() => subscriptions > 2, { timeout: 20_000, interval: 50 });
    events.publish(id, errorEvent("while nobody heard"));
    isDeaf = false;

    for await (const { event } of stream) {
      expect(event).toMatchObject({ message: "while nobody heard" });
      break;
    }
    expect(unhandled).toEqual([]);
    events.close();
    tokens.close();
    redis.disconnect();
  });
});
