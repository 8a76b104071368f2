import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocketServer, type WebSocket } from "ws";

/**
 * What the bench runs inside a REPL, as one file: `serve PORT` is the floor, an HTTP server that answers a constant and
 * a socket that echoes (and floods when told "flood BYTES"); `starts COUNT` starts another runner and a bare server in
 * turn and prints how long each takes until it answers.
 */

const [mode, value] = process.argv.slice(2);
const chunk = "y".repeat(64 * 1024);

function serve(port: number): void {
  const server = createServer((_, response) => response.end("constant"));
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on("connection", (socket) =>
    socket.on("message", (data: Buffer) => {
      const [, bytes] = /^flood (\d+)$/.exec(data.toString()) ?? [];
      if (bytes) void flood(socket, Number(bytes));
      else socket.send(data);
    }),
  );
  server.listen(port, () => console.log("serving"));
}

async function flood(socket: WebSocket, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += chunk.length)
    await new Promise<void>((resolve) => socket.send(chunk, () => resolve()));
}

async function starts(count: number): Promise<void> {
  const port = 18_081;
  const { publicKey } = generateKeyPairSync("ed25519");
  writeFileSync("/tmp/restored", "");
  const env = {
    PATH: process.env["PATH"],
    NODE_COMPILE_CACHE: "/opt/devex/cache",
    DEVEX_REPL_ID: "bench",
    DEVEX_SESSION_ID: "bench",
    DEVEX_USER_ID: "1",
    DEVEX_PUBLIC_KEY: JSON.stringify(publicKey.export({ format: "jwk" })),
    DEVEX_ALLOWED_ORIGINS: "http://localhost",
    DEVEX_PORT: String(port),
    DEVEX_WORKSPACE: "/workspaces",
    DEVEX_RESTORED_MARKER: "/tmp/restored",
    DEVEX_CLOSING_MARKER: "/tmp/closing",
  };
  const bareServer = `require("node:http").createServer((_, response) => response.end()).listen(${port})`;
  const startOf = async (args: string[]): Promise<number> => {
    const begun = performance.now();
    const program = spawn("node", args, { env, stdio: "ignore" });
    const answers = () =>
      fetch(`http://127.0.0.1:${port}/bench/ping`).then(
        (response) => response.ok,
        () => false,
      );
    while (!(await answers())) await delay(2);
    const tookMs = performance.now() - begun;
    program.kill("SIGKILL");
    await new Promise((resolve) => program.once("exit", resolve));
    return tookMs;
  };
  const times: { runner: number[]; bare: number[] } = { runner: [], bare: [] };
  for (let round = 0; round < count; round++) {
    times.bare.push(await startOf(["-e", bareServer]));
    times.runner.push(await startOf(["/opt/devex/runner.mjs"]));
  }
  console.log(`times ${JSON.stringify(times)}`);
}

if (mode === "serve") serve(Number(value));
else await starts(Number(value));
