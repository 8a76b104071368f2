import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { freePort } from "../../../tools/free-port.ts";
import { createTickets } from "../../../api/tickets.ts";
import { startRunner } from "../../../runner/server.ts";
import { connectEditor, type EditorClient } from "../../../tools/editor-client.ts";
import diffMatchPatch from "diff-match-patch";
import WebSocket, { WebSocketServer } from "ws";

/**
 * A runner with an empty workspace for each test, an editor that is connected to it, and a program to preview. Whoever
 * imports it has it for all tests of the file.
 */

const patcher = new diffMatchPatch.diff_match_patch();
export const patchOf = (before: string, after: string) => patcher.patch_toText(patcher.patch_make(before, after));

export const root = mkdtempSync(join(tmpdir(), "devex-runner-"));
export const outside = mkdtempSync(join(tmpdir(), "devex-outside-"));
export let runner: Awaited<ReturnType<typeof startRunner>>;
export let url: string;
export let ticket: string;
export let tickets: Awaited<ReturnType<typeof createTickets>>;
let program: Server;
export let programPort: number;
export let editor: EditorClient;

export const optionsAt = (port: number) => ({
  replId: "repl-x",
  sessionId: "session-x",
  userId: "7",
  publicKey: tickets.publicKey,
  allowedOrigins: ["http://front.example"],
  port,
  folder: root,
  shell: "/bin/bash",
  environment: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8" },
  previewDomain: "previews.example",
  secure: false,
  closingMarker: join(outside, "closing"),
});

beforeAll(async () => {
  tickets = await createTickets(["a secret for tests that is long enough"], 60);
  ticket = await tickets.issue("repl-x", "7");
  const port = await freePort();
  runner = await startRunner(optionsAt(port));
  url = `http://localhost:${port}/repl-x/`;
  program = createServer((request, response) => {
    const { searchParams } = new URL(`http://program${request.url}`);
    const [to, cookie] = [searchParams.get("redirect"), searchParams.get("cookie")];
    if (cookie) response.setHeader("set-cookie", cookie.split("|"));
    if (to) {
      response.writeHead(302, { location: to }).end();
      return;
    }
    if (request.url === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: first\n\n");
      return;
    }
    response.setHeader(
      "x-seen",
      JSON.stringify({
        url: request.url,
        prefix: request.headers["x-forwarded-prefix"],
        cookie: request.headers.cookie,
      }),
    );
    response.end("from the program");
  });
  const echo = new WebSocketServer({ server: program });
  echo.on("connection", (socket) => socket.on("message", (data: Buffer) => socket.send(`echo ${data.toString()}`)));
  await new Promise<void>((resolve) => program.listen(0, () => resolve()));
  programPort = (program.address() as AddressInfo).port;
});
beforeEach(async () => {
  for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true, force: true });
  editor = await connectEditor(url, ticket);
});
afterAll(async () => {
  await runner.stop();
  program.closeAllConnections();
  program.close();
});

export async function openSocket(): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}api/v1/repl/ws?ticket=${ticket}`);
  await once(socket, "open");
  return socket;
}

export const socketStatus = (path: string, headers: Record<string, string> = {}) =>
  new Promise<number>((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws") + path, { headers });
    socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
    socket.on("open", () => {
      resolve(101);
      socket.close();
    });
    socket.on("error", () => {});
  });
