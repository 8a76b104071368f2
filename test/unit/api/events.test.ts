import { describe, expect, it, vi } from "vitest";
import { errorEvent, saveEvent } from "../../../domain/events.ts";
import { frontendUrl, startApi } from "../../fakes/api.ts";
import { problemOf } from "./problem-of.ts";

interface Received {
  readonly event?: string;
  readonly id?: string;
  readonly data?: Record<string, unknown>;
}

/** Reads server-sent events from an answer. */
function listen(response: Response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const queue: Received[] = [];
  return {
    async next(): Promise<Received | undefined> {
      while (queue.length === 0) {
        const { done = true, value = "" } = (await reader?.read()) ?? {};
        if (done) return undefined;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
          if (fields["event"])
            queue.push({ ...fields, data: JSON.parse(fields["data"] as string) as Record<string, unknown> });
        }
      }
      return queue.shift();
    },
    leave: async () => reader?.cancel(),
  };
}

/** A running REPL of alice's; `follow` begins a stream of its events. */
async function running(options?: Parameters<typeof startApi>[0]) {
  const api = await startApi(options);
  const { as, create, owner } = await api.person("alice");
  const { id, url } = await create();
  const ask = (headers?: Record<string, string>) => as("GET", `/api/repl/${id}/events`, undefined, headers);
  const follow = async (headers?: Record<string, string>) => listen(await ask(headers));
  return { ...api, as, owner, id, url, ask, follow };
}

describe("events", () => {
  it("begin with the current state and go on with what happens", async () => {
    const { directory, events, owner, id, url, ask } = await running();
    const response = await ask({ origin: frontendUrl });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    expect(response.headers.get("access-control-allow-origin")).toBe(frontendUrl);
    const stream = listen(response);
    expect(await stream.next()).toMatchObject({ event: "status", data: { status: "running", url } });
    const session = await directory.activeSession(owner.id, id);
    await directory.setState({ id: session?.id ?? "", replId: id, userId: owner.id }, "stopping", "saving");
    expect(await stream.next()).toMatchObject({
      event: "status",
      data: { status: "stopping", statusReason: "saving" },
    });
    events.events.publish(id, saveEvent({ generation: 2, version: "secret", files: 1, bytes: 2, savedAt: "now" }));
    const saved = await stream.next();
    expect(saved).toMatchObject({ event: "save", id: expect.stringMatching(/^\d+-\d+$/) as string });
    expect(saved?.data).toEqual({
      at: expect.any(String) as string,
      generation: 2,
      files: 1,
      bytes: 2,
      savedAt: "now",
    });
    await stream.leave();
    await vi.waitFor(() => expect(events.listeners()).toBe(0));
  });

  it("go on after Last-Event-ID, the current state first", async () => {
    const { events, id, follow } = await running();
    const first = await follow();
    await first.next();
    events.events.publish(id, errorEvent("one"));
    const heard = await first.next();
    await first.leave();
    events.events.publish(id, errorEvent("two"));
    events.events.publish(id, errorEvent("three"));
    const again = await follow({ "last-event-id": heard?.id ?? "" });
    const status = await again.next();
    expect(status).toMatchObject({ event: "status" });
    // An id here would skip what was missed if the connection broke now.
    expect(status?.id).toBeUndefined();
    expect([await again.next(), await again.next()]).toMatchObject([
      { data: { message: "two" } },
      { data: { message: "three" } },
    ]);
    await again.leave();
  });

  it("give who comes new a place to go on from", async () => {
    const { events, id, follow } = await running();
    const stream = await follow();
    const status = await stream.next();
    await stream.leave();
    events.events.publish(id, errorEvent("missed"));
    const again = await follow({ "last-event-id": status?.id ?? "" });
    await again.next();
    expect(await again.next()).toMatchObject({ data: { message: "missed" } });
    await again.leave();
  });

  it("end with the REPL", async () => {
    const { as, events, id, follow } = await running();
    const stream = await follow();
    await stream.next();
    await as("DELETE", `/api/repl/${id}`);
    expect(await stream.next()).toMatchObject({ event: "status", data: { status: "deleted" } });
    expect(await stream.next()).toBeUndefined();
    expect(events.listeners()).toBe(0);
  });

  it("are for the owner alone, and not for somebody who has signed out", async () => {
    const { person, events } = await startApi();
    const [alice, bob] = [await person("alice"), await person("bob")];
    const { id } = await alice.create();
    expect(await problemOf(await bob.as("GET", `/api/repl/${id}/events`))).toMatchObject({ status: 404 });
    vi.useFakeTimers({ toFake: ["setInterval"] });
    try {
      const stream = listen(await alice.as("GET", `/api/repl/${id}/events`));
      await stream.next();
      await alice.as("POST", "/auth/logout");
      vi.advanceTimersByTime(20_000);
      expect(await stream.next()).toBeUndefined();
      expect(events.listeners()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("have many listeners and leave nothing behind when those go", async () => {
    const { events, id, ask, follow } = await running();
    const streams = await Promise.all(Array.from({ length: 50 }, () => follow()));
    for (const stream of streams) await stream.next();
    expect(await problemOf(await ask())).toMatchObject({ status: 429 });
    events.events.publish(id, errorEvent("to all"));
    for (const stream of streams) expect(await stream.next()).toMatchObject({ data: { message: "to all" } });
    for (const stream of streams) await stream.leave();
    await vi.waitFor(() => expect(events.listeners()).toBe(0));
    const last = await follow();
    await last.next();
    await last.leave();
  });

  it("end when the process stops", async () => {
    const stopping = new AbortController();
    const { follow } = await running({ stopping: stopping.signal });
    const stream = await follow();
    await stream.next();
    stopping.abort();
    expect(await stream.next()).toBeUndefined();
  });
});
