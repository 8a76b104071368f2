import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { maximumMessageBytes } from "../../../runner/protocol.ts";
import { editor, openSocket } from "./running-runner.ts";

describe("the runner: messages", () => {
  it("that are too large end their own connection, with the reason, and nobody else's", async () => {
    const socket = await openSocket();
    const closed = once(socket, "close") as Promise<[number]>;
    socket.send("x".repeat(maximumMessageBytes + 1));
    expect((await closed)[0]).toBe(1009);
    await editor.ask("Connection", {}, "Loaded");
  });

  it.each([
    "no json",
    "[]",
    "null",
    '{"event":5}',
    '{"event":"nothing"}',
    '{"event":"__proto__","data":{}}',
    '{"event":"fetchContent"}',
  ])("that make no sense (%s) are answered, and the next one works", async (text) => {
    const socket = await openSocket();
    const answers: string[] = [];
    socket.on("message", (data: Buffer) => answers.push((JSON.parse(data.toString()) as { event: string }).event));
    socket.send(text);
    socket.send('{"event":"Connection"}');
    await expect
      .poll(() => answers.filter((event) => event !== "fileChanged"))
      .toEqual([text.includes("fetchContent") ? "fetchContentResponse" : "error", "Loaded"]);
    socket.close();
  });
});
