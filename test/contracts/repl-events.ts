import { beforeAll, describe, expect, it, vi } from "vitest";
import { errorEvent, type ReplEvent } from "../../domain/events.ts";
import type { EventStream, LoggedEvent, ReplEvents } from "../../domain/ports.ts";
import { newRecord } from "../fakes/records.ts";

interface UnderTest {
  readonly events: ReplEvents;
  listeners(): number;
}

/** What the events must do, in memory and through Redis alike. */
export function describeReplEvents(make: () => UnderTest): void {
  describe("ReplEvents", () => {
    let events: ReplEvents;
    let listeners: () => number;
    beforeAll(() => {
      ({ events, listeners } = make());
    });

    /** The next `count` events of a stream. */
    async function take(stream: EventStream, count: number): Promise<LoggedEvent[]> {
      const taken: LoggedEvent[] = [];
      for await (const event of stream) if (taken.push(event) === count) break;
      return taken;
    }
    const messages = (taken: readonly LoggedEvent[]) =>
      taken.map(({ event }) => (event as Extract<ReplEvent, { type: "error" }>).message);
    const never = () => new AbortController().signal;

    it("tells each listener what comes, in order", async () => {
      const { id } = newRecord();
      events.publish(id, errorEvent("before"));
      await vi.waitFor(async () => {
        const [first] = await take(await events.follow(id, "0-0", never()), 1);
        expect(first).toBeDefined();
      });
      const streams = await Promise.all([events.follow(id, undefined, never()), events.follow(id, undefined, never())]);
      for (const text of ["one", "two", "three"]) events.publish(id, errorEvent(text));
      for (const stream of streams) expect(messages(await take(stream, 3))).toEqual(["one", "two", "three"]);
    });

    it("goes on after the last event that was heard", async () => {
      const { id } = newRecord();
      const first = await events.follow(id, undefined, never());
      for (const text of ["one", "two", "three"]) events.publish(id, errorEvent(text));
      const [, two] = await take(first, 3);
      const again = await events.follow(id, two?.id, never());
      events.publish(id, errorEvent("four"));
      expect(messages(await take(again, 2))).toEqual(["three", "four"]);
    });

    it("tells who comes new what has come of that which is under way, and nothing of what is over", async () => {
      const { id } = newRecord();
      const at = new Date().toISOString();
      const status = (value: "running" | "starting"): ReplEvent => ({ type: "status", at, status: value });
      const first = await events.follow(id, "0-0", never());
      const told = [errorEvent("long ago"), status("starting"), errorEvent("one"), errorEvent("two")];
      for (const event of told) events.publish(id, event);
      await take(first, told.length);
      expect(messages(await take(await events.follow(id, undefined, never()), 2))).toEqual(["one", "two"]);

      const then = await events.follow(id, "0-0", never());
      for (const event of [status("running"), errorEvent("after it")]) events.publish(id, event);
      await take(then, told.length + 2);
      const late = await events.follow(id, undefined, never());
      events.publish(id, errorEvent("now"));
      expect(messages(await take(late, 1))).toEqual(["now"]);
    });

    it("begins with what comes for an id that is none of ours", async () => {
      const { id } = newRecord();
      const stream = await events.follow(id, "'; DROP TABLE", never());
      events.publish(id, errorEvent("now"));
      expect(messages(await take(stream, 1))).toEqual(["now"]);
    });

    it("tells nobody of another REPL", async () => {
      const [one, two] = [newRecord(), newRecord()];
      const stream = await events.follow(one.id, undefined, never());
      events.publish(two.id, errorEvent("theirs"));
      events.publish(one.id, errorEvent("ours"));
      expect(messages(await take(stream, 1))).toEqual(["ours"]);
    });

    it("forgets who has gone", async () => {
      const { id } = newRecord();
      const before = listeners();
      const over = new AbortController();
      const streams = await Promise.all(Array.from({ length: 50 }, () => events.follow(id, undefined, over.signal)));
      expect(listeners()).toBe(before + 50);
      const ends = streams.slice(25).map((stream) => take(stream, 1));
      over.abort();
      expect((await Promise.all(ends)).flat()).toEqual([]);
      expect(listeners()).toBe(before);
    });
  });
}
