import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocketServer, type WebSocket as ServerSocket } from "ws";
import { connect, type Connection } from "../../../web/room/connection.ts";
import { ConnectionLost } from "../../../web/room/document.ts";

const patience = { timeout: 10_000, interval: 5 };

describe("a room's connection", () => {
  let server: WebSocketServer;
  let connection: Connection;
  let sockets: ServerSocket[] = [];
  let heard: { event: string; data: unknown }[] = [];
  /** What the other side answers; it keeps silent otherwise. */
  let answer: (event: string, data: unknown) => readonly object[] = () => [];
  let opened = 0;

  beforeAll(async () => {
    server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    server.on("connection", (socket) => {
      sockets.push(socket);
      socket.on("message", (text: Buffer) => {
        const frame = JSON.parse(text.toString()) as { event: string; data: unknown };
        heard.push(frame);
        for (const reply of answer(frame.event, frame.data)) socket.send(JSON.stringify(reply));
      });
    });
  });
  afterAll(() => server.close());
  afterEach(() => {
    connection.close();
    [sockets, heard, opened] = [[], [], 0];
    answer = () => [];
  });

  async function open(): Promise<void> {
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    connection = connect({ address: async () => url, onOpen: () => opened++ });
    await vi.waitFor(() => expect(connection.state.value.kind).toBe("open"), patience);
  }

  it("gives each question its own answer, in their order, and tells of everything else", async () => {
    await open();
    answer = (event, data) => [{ event: `${event}Response`, data: { path: data } }];
    const changes: unknown[] = [];
    connection.on("fileChanged", (change) => changes.push(change));
    sockets[0]?.send(JSON.stringify({ event: "fileChanged", data: "a" }));
    const all = await Promise.all(["one", "two", "three"].map((path) => connection.ask("fetchContent", path)));
    expect(all).toEqual([{ path: "one" }, { path: "two" }, { path: "three" }]);
    expect(changes).toEqual(["a"]);
  });

  it("fails a question with what was refused", async () => {
    await open();
    answer = (event) =>
      event === "requestTerminal"
        ? [{ event: "terminalError", data: { error: "16 terminals are open" } }]
        : [{ event: `${event}Response`, data: { error: "no such file" } }];
    await expect(connection.ask("fetchContent", {})).rejects.toThrow("no such file");
    await expect(connection.ask("requestTerminal", {}, "terminalConnected")).rejects.toThrow("16 terminals");
  });

  it("fails what was not answered when it is lost, and comes back by itself", async () => {
    await open();
    const asked = connection.ask("fetchContent", {});
    await vi.waitFor(() => expect(heard).toHaveLength(1), patience);
    sockets[0]?.terminate();
    await expect(asked).rejects.toThrow(ConnectionLost);
    expect(connection.state.value.kind).toBe("lost");
    expect(connection.send("terminalInput", {})).toBe(false);
    await expect(connection.ask("fetchContent", {})).rejects.toThrow(ConnectionLost);
    await vi.waitFor(() => expect(connection.state.value.kind).toBe("open"), patience);
    expect(opened).toBe(2);
  });

  it("is lost when the other side says nothing more, though no socket was closed, and not when it answers", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
    try {
      await open();
      answer = (event) => (event === "ping" ? [{ event: "pingResponse" }] : []);
      for (let round = 1; round <= 3; round++) {
        vi.advanceTimersByTime(6000);
        await vi.waitFor(() => expect(heard).toHaveLength(round), patience);
        await vi.waitFor(() => expect(Date.now() - connection.heardAt()).toBeLessThan(2000), patience);
      }
      expect(heard.map(({ event }) => event)).toEqual(["ping", "ping", "ping"]);
      expect(connection.state.value.kind).toBe("open");
      answer = () => [];
      vi.advanceTimersByTime(6000);
      expect(connection.state.value.kind).toBe("open");
      vi.advanceTimersByTime(12_000);
      expect(connection.state.value.kind).toBe("lost");
      await vi.waitFor(() => expect(opened).toBe(2), patience);
    } finally {
      vi.useRealTimers();
    }
  });

  it("tries at once when it is told to, and not any more after it was closed", async () => {
    await open();
    sockets[0]?.terminate();
    await vi.waitFor(() => expect(connection.state.value.kind).toBe("lost"), patience);
    connection.tryNow();
    await vi.waitFor(() => expect(opened).toBe(2), patience);
    connection.close();
    await vi.waitFor(() => expect(server.clients.size).toBe(0), patience);
    connection.tryNow();
    expect(opened).toBe(2);
  });
});
