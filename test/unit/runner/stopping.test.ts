import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import WebSocket from "ws";
import { startRunner } from "../../../runner/server.ts";
import { freePort } from "../../../tools/free-port.ts";
import { optionsAt, ticket } from "./running-runner.ts";

/** Takes any socket, says nothing on it, and does not end when it is asked to. */
const stubbornProgram = `
process.on("SIGTERM", () => {});
process.on("SIGHUP", () => {});
const server = require("node:http").createServer();
server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = require("node:crypto").createHash("sha1").update(key).digest("base64");
  socket.on("error", () => {});
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
});
server.listen(0, () => console.log(server.address().port));
`;
/** Far less than the thirty seconds of a pod's end. */
const longMs = 12_000;

describe("the runner: stopping", () => {
  it("waits for nobody who holds a connection: not for a program, not for a client that is half dead", async () => {
    const port = await freePort();
    const runner = await startRunner(optionsAt(port));
    const program = spawn(process.execPath, ["-e", stubbornProgram], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [programPort] = (await once(createInterface({ input: program.stdout }), "line")) as [string];
      const base = `ws://localhost:${port}/repl-x/`;
      const cookie = { headers: { cookie: `devex_repl=${ticket}` } };
      const preview = new WebSocket(`${base}user-app/${programPort}/`, cookie);
      const editor = new WebSocket(`${base}api/v1/repl/ws?ticket=${ticket}`);
      await Promise.all([once(preview, "open"), once(editor, "open")]);
      const previewClosed = once(preview, "close");
      // It reads no more, so that it never answers the goodbye.
      editor.pause();
      const began = performance.now();
      await runner.stop();
      expect(performance.now() - began).toBeLessThan(longMs);
      await previewClosed;
      expect(program.exitCode).toBeNull();
      editor.terminate();
      await expect(fetch(`http://localhost:${port}/repl-x/ping`)).rejects.toThrow();
    } finally {
      program.kill("SIGKILL");
    }
  });
});
