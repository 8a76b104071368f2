import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { createRedisReplEvents } from "../../adapters/redis-repl-events.ts";
import { createRedisTokenCache } from "../../adapters/redis-token-cache.ts";
import { errorEvent } from "../../domain/events.ts";
import { newRecord } from "../fakes/records.ts";
import { stackVariable } from "../setup/stack-variables.ts";

/** Redis behind a door that can cut all connections, and be deaf to those that want to hear something. */
describe("a Redis that does not answer who wants to hear", () => {
  const sockets = new Set<Socket>();
  const isHearing = new WeakSet<Socket>();
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
    let isIgnored = false;
    client.on("data", (bytes) => {
      const wantsToHear = bytes.includes("subscribe");
      if (wantsToHear) subscriptions++;
      isIgnored ||= isDeaf && (wantsToHear || isHearing.has(client));
      if (wantsToHear) isHearing.add(client);
      if (!isIgnored) server.write(bytes);
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

  /** Makes Redis deaf in the moment of `fault`, and expects that the listeners find their way back. */
  async function expectNothingMissed(fault: () => void): Promise<void> {
    const redis = throughTheDoor();
    const events = createRedisReplEvents(redis);
    const tokens = createRedisTokenCache(redis);
    onTestFinished(() => {
      isDeaf = false;
      events.close();
      tokens.close();
      redis.disconnect();
    });
    const { id } = newRecord();
    const stream = await events.follow(id, undefined, new AbortController().signal);

    [isDeaf, subscriptions] = [true, 0];
    fault();
    // Both have come back, were not answered, and come back once more.
    await vi.waitUntil(() => subscriptions > 2, { timeout: 30_000, interval: 50 });
    events.publish(id, errorEvent("while nobody heard"));
    isDeaf = false;

    for await (const { event } of stream) {
      expect(event).toMatchObject({ message: "while nobody heard" });
      break;
    }
    expect(unhandled).toEqual([]);
  }

  it("is asked again until it does, and nothing said meanwhile is missed", () => expectNothingMissed(cut));

  it("is noticed when it says nothing more, without closing the connection", () => expectNothingMissed(() => {}));
});
