import { on } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { connectEditor } from "../../../tools/editor-client.ts";
import { url, ticket, editor, openSocket } from "./running-runner.ts";

describe("the runner: terminals", () => {
  it("run a shell in the workspace and take its size", async () => {
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    await editor.type(sessionId, "pwd; echo $TERM; stty size; tty -s && echo terminal-yes", "terminal-yes\r\n");
    editor.send("terminalResize", { sessionId, cols: 132, rows: 43 });
    await editor.type(sessionId, "stty size", "43 132");
    editor.send("terminalInput", { sessionId, data: "exit\r" });
    await editor.next((frame) => frame.event === "terminalClosed");
    editor.send("terminalInput", { sessionId, data: "x" });
    expect((await editor.next((frame) => frame.event === "terminalError")).data).toEqual({
      error: "this terminal is closed",
    });
  });

  it("have taken what came before a ping when that is answered", async () => {
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    editor.send("terminalInput", { sessionId, data: "exit 3\r" });
    await editor.ask("ping", {});
    expect((await editor.next((frame) => frame.event === "terminalClosed")).data["exitCode"]).toBe(3);
  });

  it("live on through a reload, and replay", async () => {
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    await editor.type(sessionId, "x=alive; echo bef''ore", "before");
    await editor.close();
    const again = await connectEditor(url, ticket);
    expect(await again.ask("requestTerminal", { sessionId }, "terminalConnected")).toEqual({ sessionId });
    expect(String((await again.next((frame) => frame.event === "terminalResponse")).data)).toContain("before");
    await again.type(sessionId, "echo still-$x", "still-alive");
    again.send("closeTerminal", { sessionId });
    await again.next((frame) => frame.event === "terminalClosed");
    await again.close();
  });

  it("end when they are closed, also a shell that does not want to", async () => {
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    await editor.type(sessionId, "trap '' HUP TERM; echo rea''dy", "ready");
    editor.send("closeTerminal", { sessionId });
    await editor.next((frame) => frame.event === "terminalClosed");
  });

  it("drop nothing and cut no character, however much comes", async () => {
    const { sessionId } = await editor.ask("requestTerminal", { tagged: true }, "terminalConnected");
    editor.send("terminalInput", {
      sessionId,
      data: "stty -echo; echo; seq -f 'zeile ü 👋 %.0f' 1 20000; echo fin''ished\r",
    });
    let output = "";
    while (!output.includes("finished")) {
      const frame = await editor.next(
        (candidate) => candidate.event === "terminalResponse" && candidate.data["sessionId"] === sessionId,
      );
      output += String(frame.data["data"]);
    }
    const lines = output.split("\r\n").filter((line) => line.startsWith("zeile"));
    expect(lines).toHaveLength(20_000);
    expect(lines[12_344]).toBe("zeile ü 👋 12345");
    editor.send("closeTerminal", { sessionId });
  });

  it("wait for a page that reads slowly, without loss, without taking memory, and without holding others up", async () => {
    const lines = 8_000_000;
    const socket = await openSocket();
    const events = on(socket, "message") as AsyncIterableIterator<[Buffer]>;
    const send = (event: string, data: unknown) => socket.send(JSON.stringify({ event, data }));
    send("requestTerminal", { tagged: true });
    let sessionId: string | undefined;
    let tail = "";
    let expected = 1;
    let [hasBegun, isPaused] = [false, false];
    let [before, most] = [0, 0];
    for await (const [text] of events) {
      const { event, data } = JSON.parse(text.toString()) as { event: string; data: Record<string, string> };
      if (event === "terminalConnected") {
        sessionId = data["sessionId"];
        send("terminalInput", { sessionId, data: `stty -echo; PS1=; echo be''gin; seq 1 ${lines}; echo e''nd\r` });
      }
      if (event !== "terminalResponse") continue;
      tail += data["data"];
      if (!hasBegun) {
        if (!tail.includes("begin\r\n")) continue;
        tail = tail.slice(tail.indexOf("begin\r\n") + "begin\r\n".length);
        hasBegun = true;
      }
      const complete = tail.split("\r\n");
      tail = complete.pop() ?? "";
      for (const line of complete)
        if (line !== "end" && line !== String(expected++))
          throw new Error(`${line} came where ${expected - 1} was due`);
      if (complete.includes("end")) break;
      if (isPaused || expected < 1000) continue;
      isPaused = true;
      socket.pause();
      before = process.memoryUsage().rss;
      const other = await editor.ask("requestTerminal", {}, "terminalConnected");
      for (let look = 0; look < 10; look++) {
        await delay(100);
        most = Math.max(most, process.memoryUsage().rss);
      }
      await editor.type(other["sessionId"], "echo not-held-''up", "not-held-up");
      editor.send("closeTerminal", other);
      socket.resume();
    }
    expect(expected).toBe(lines + 1);
    // All that is still to come is twice as much.
    expect((most - before) / 2 ** 20).toBeLessThan(32);
    socket.close();
  });
});
