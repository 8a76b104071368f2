import { signal } from "@preact/signals";
import type { Terminal as Screen } from "@xterm/xterm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Connection, ConnectionState } from "../../../web/room/connection.ts";
import { createTerminals } from "../../../web/room/terminals.ts";

/** A terminal's connection, whose other side hears everything and whose screen is typed on by hand. */
function openRoom() {
  const state = signal<ConnectionState>({ kind: "open" });
  const sent: unknown[] = [];
  let heardAt = Date.now();
  let type: (data: string) => void = () => {};
  const connection: Connection = {
    state,
    send(event, data) {
      if (state.peek().kind !== "open") return false;
      sent.push({ event, data });
      return true;
    },
    ask: async <Data>() => ({ sessionId: "shell" }) as Data,
    on: () => () => {},
    heardAt: () => heardAt,
    tryNow: () => {},
    close: () => {},
  };
  const screen = {
    onData: (listener: typeof type) => void (type = listener),
    onBinary: () => {},
    onResize: () => {},
    reset: () => {},
    dispose: () => {},
    write: () => {},
    cols: 80,
    rows: 24,
  } as unknown as Screen;
  return {
    terminals: createTerminals(connection, "repl-a", () => screen),
    type: (data: string) => type(data),
    hear: () => (heardAt = Date.now()),
    lose: () => (state.value = { kind: "lost", since: 0, nextTry: 0 }),
    comeBack: () => (state.value = { kind: "open" }),
    typed: () =>
      sent.flatMap((frame) => {
        const { event, data } = frame as { event: string; data: { data: string } };
        return event === "terminalInput" ? [data.data] : [];
      }),
  };
}

describe("the terminals of a room", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {} });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("tell of keys that were sent and of which nothing was heard when the connection broke, and send none twice", async () => {
    const room = openRoom();
    await room.terminals.open("Terminal");
    vi.advanceTimersByTime(10);
    room.type("l");
    vi.advanceTimersByTime(10);
    room.lose();
    expect(room.terminals.failure.value).toContain("your last keys");
    room.type("s");
    room.comeBack();
    await room.terminals.connected();
    expect(room.typed()).toEqual(["l", "s"]);
    room.type("!");
    expect(room.terminals.failure.value).toBe("");
  });

  it("say nothing when all that was typed had been heard of", async () => {
    const room = openRoom();
    await room.terminals.open("Terminal");
    vi.advanceTimersByTime(10);
    room.type("l");
    vi.advanceTimersByTime(10);
    room.hear();
    room.lose();
    expect(room.terminals.failure.value).toBe("");
  });
});
