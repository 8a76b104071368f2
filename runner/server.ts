import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocketServer, type WebSocket } from "ws";
import { accessCookie, createAccess, type AccessOptions } from "./access.ts";
import { serveConnection, type Connection, type Room } from "./connection.ts";
import { guardDisk } from "./disk-guard.ts";
import { endPrograms } from "./end-programs.ts";
import { createFileWatch } from "./file-watch.ts";
import { filesPath, serveFiles } from "./files.ts";
import { createPreviewProxy, parsePreview, parsePreviewHost, type PreviewTarget } from "./preview-proxy.ts";
import { guardProcesses } from "./process-guard.ts";
import { maximumMessageBytes } from "./protocol.ts";
import { createTerminals } from "./terminals.ts";
import { createUploads } from "./uploads.ts";
import { createWorkspace } from "./workspace.ts";

const headersTimeoutMs = 60_000;

export interface RunnerOptions extends AccessOptions {
  /** Told by ping, so that nobody takes the pod of an earlier session for this one. */
  readonly sessionId: string;
  readonly port: number;
  readonly folder: string;
  /** Other folders that programs write to. */
  readonly scratch?: readonly string[] | undefined;
  /** What all files may take; any amount when absent. */
  readonly diskBytes?: number | undefined;
  /** How many files and folders the workspace may hold, where what they take is limited. */
  readonly maximumFiles?: number | undefined;
  readonly shell: string;
  /** Variables of the user's programs. */
  readonly environment: Record<string, string>;
  /** Below it previews have hosts of their own, `<port>-<replId>`; none when absent. */
  readonly previewDomain?: string | undefined;
  /** Secure cookies, where the access path is https. */
  readonly secure: boolean;
  /** While this path exists the REPL is being closed: nobody is let in, and programs end when they are told to. */
  readonly closingMarker: string;
}

/** Whoever ends the pod gives it thirty seconds, and the last checkpoint begins only when we have ended. */
const stopGraceMs = 3000;
/** What an editor has begun may take so long; whoever asks for the end asks again then. */
const finishMs = 8000;
/** As many as a checkpoint can save in the memory that it has; an open takes some more. */
const standardMaximumFiles = 150_000;
const pingEveryMs = 25_000;
const socketPath = "/api/v1/repl/ws";

/** Serves one REPL under its base path: the editor's socket, previews and ping. Resolves when it listens. */
export async function startRunner(options: RunnerOptions) {
  const basePath = `/${options.replId}`;
  const access = await createAccess(options);
  let lastActivityAt = Date.now();
  const onActivity = () => void (lastActivityAt = Date.now());
  const workspace = createWorkspace(options.folder);
  const terminals = createTerminals({
    folder: options.folder,
    shell: options.shell,
    environment: options.environment,
    onActivity,
  });
  const previews = createPreviewProxy(onActivity);
  const room: Room = {
    workspace,
    terminals,
    fileWatch: createFileWatch(options.folder),
    publicPorts: new Set(),
    onActivity,
  };
  const connections = new Set<Connection>();
  const isClosing = () => existsSync(options.closingMarker);
  const uploads = createUploads(isClosing);
  const isShared = (preview: PreviewTarget | undefined) => preview !== undefined && room.publicPorts.has(preview.port);
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maximumMessageBytes });

  // An upload may take as long as it takes; headers have a minute, and whoever holds no ticket is not listened to further.
  const server = createServer({ requestTimeout: 0, headersTimeout: headersTimeoutMs }, (request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  const opened = new Set<Socket>();
  server.on("connection", (socket) => {
    opened.add(socket);
    socket.once("close", () => opened.delete(socket));
  });
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket, head).catch(() => socket.destroy()));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ofHost = parsePreviewHost(request, options);
    if (ofHost) return answerHost(request, response, ofHost);
    const path = pathBelow(request);
    if (path === undefined) return end(response, 404, "Not here.");
    if (path === "/stop") return stopPrograms(request, response);
    if (path === "/activity") return tellActivity(request, response);
    if (path === "/ping")
      return end(response, 200, '"pong"', { "content-type": "application/json", "devex-session": options.sessionId });
    const url = new URL(`http://runner${path}`);
    if (url.pathname.startsWith(filesPath)) return files(request, response, url);
    const ticket = await access.goodTicket(url);
    if (ticket && (request.method === "GET" || request.method === "HEAD"))
      return keepTicket(request, url, ticket, response);
    const preview = parsePreview(basePath, path, options.port);
    const isAdmitted = await access.admits(request, url);
    if (!isAdmitted && !isShared(preview))
      return end(response, 401, "Open this REPL from your dashboard first: this address needs its ticket.");
    if (isClosing()) return sayClosing(response);
    if (preview) return previews.request(request, response, preview, { isForStrangers: !isAdmitted });
    if (url.pathname === "/")
      return end(response, 200, `REPL ${options.replId} is running. Previews: ${basePath}/user-app/PORT/`);
    end(response, 404, "Not here.");
  }

  /** The host is the program's alone, with an origin of its own: all paths are its, and a page for strangers can be whole. */
  async function answerHost(request: IncomingMessage, response: ServerResponse, preview: PreviewTarget): Promise<void> {
    const url = new URL(`http://runner${preview.path}`);
    const ticket = await access.goodTicket(url);
    if (ticket && (request.method === "GET" || request.method === "HEAD"))
      return keepTicket(request, url, ticket, response, "");
    if (!isShared(preview) && !(await access.admits(request, url)))
      return end(response, 401, "Open this preview from your REPL: this address needs its ticket.");
    if (isClosing()) return sayClosing(response);
    return previews.request(request, response, preview, { isForStrangers: false });
  }

  async function files(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { origin } = request.headers;
    if (!access.admitsOrigin(request)) return end(response, 403, "Not from this page.");
    if (origin !== undefined) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", "etag, content-range, accept-ranges");
      response.setHeader("vary", "origin");
    }
    if (request.method === "OPTIONS")
      return end(response, 204, "", {
        "access-control-allow-methods": "GET, HEAD, PUT",
        "access-control-allow-headers": "authorization, content-type, if-match, if-none-match, range",
        "access-control-max-age": "600",
      });
    if (!(await access.admitsByTicket(request, url)))
      return end(response, 401, "Send the ticket of the REPL as `Authorization: Bearer` or `?ticket=`.");
    if (isClosing()) return sayClosing(response);
    onActivity();
    return serveFiles(request, response, url.pathname.slice(filesPath.length), workspace, uploads);
  }

  /**
   * Ends every program and every connection, so that the files are still while the last save is made. Whoever
   * can reach us may ask; it is done only while the closing marker is there, which the save's container made.
   */
  async function stopPrograms(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST" || !isClosing()) return end(response, 403, "This REPL is not being closed.");
    const killed = await endWork();
    if (killed === undefined) return end(response, 503, "A change of an editor is still being made.");
    end(response, 200, JSON.stringify({ killed }), { "content-type": "application/json" });
  }

  /**
   * Ends the programs, and what editors have begun is done; what they have sent beside that is not, and nobody is told
   * that it was. Then nothing changes files any more. Returns how many programs had to be killed, undefined where a
   * change takes long.
   */
  async function endWork(): Promise<number | undefined> {
    const work = Promise.all([...[...connections].map((connection) => connection.finish()), uploads.end()]);
    const killed = await endPrograms();
    const isDone = await Promise.race([work.then(() => true), delay(finishMs, false, { ref: false })]);
    // Those that came to life in between, as by a terminal that was being opened.
    const also = await endPrograms();
    if (!isDone) return undefined;
    for (const socket of sockets.clients) socket.close(1001, "the REPL is being closed");
    terminals.closeAll();
    return killed + also;
  }

  /** For the checkpoints beside us, which tell the API of it. Nobody comes from this address by the access path. */
  function tellActivity(request: IncomingMessage, response: ServerResponse): void {
    if (!isLoopback(request.socket.remoteAddress)) return end(response, 404, "Not here.");
    const activity = { connections: sockets.clients.size, lastActivityAt: new Date(lastActivityAt).toISOString() };
    end(response, 200, JSON.stringify(activity), { "content-type": "application/json" });
  }

  /**
   * Exchanges the ticket for the cookie, so that it leaves the address bar. In a frame of a page of another site, as
   * the page's preview can be, only a cookie of that very page's is kept (CHIPS).
   */
  function keepTicket(
    { headers }: IncomingMessage,
    url: URL,
    ticket: string,
    response: ServerResponse,
    below = basePath,
  ): void {
    url.searchParams.delete("ticket");
    const isFramed = headers["sec-fetch-dest"] === "iframe" && headers["sec-fetch-site"] === "cross-site";
    const lax = `SameSite=Lax${options.secure ? "; Secure" : ""}`;
    const cookie = `${accessCookie}=${ticket}; Path=${below}/; HttpOnly; ${isFramed ? "SameSite=None; Secure; Partitioned" : lax}`;
    end(response, 302, "", {
      "set-cookie": cookie,
      location: below + url.pathname.replace(/^\/+/, "/") + url.search,
      "cache-control": "no-store",
    });
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => {});
    const ofHost = parsePreviewHost(request, options);
    const path = ofHost ? ofHost.path : pathBelow(request);
    if (path === undefined) return refuse(socket, 404);
    const url = new URL(`http://runner${path}`);
    const preview = ofHost ?? parsePreview(basePath, path, options.port);
    if (!isShared(preview)) {
      if (!access.admitsOrigin(request) && !(ofHost && isOwnOrigin(request))) return refuse(socket, 403);
      if (!(await access.admits(request, url))) return refuse(socket, 401);
    }
    if (isClosing()) return refuse(socket, 503);
    if (preview) return previews.upgrade(request, socket, head, preview);
    if (url.pathname !== socketPath) return refuse(socket, 404);
    sockets.handleUpgrade(request, socket, head, (accepted) => {
      onActivity();
      watchHealth(accepted);
      const connection = serveConnection(accepted, room);
      connections.add(connection);
      accepted.on("close", () => connections.delete(connection));
    });
  }

  function pathBelow(request: IncomingMessage): string | undefined {
    const path = request.url ?? "";
    if (path === basePath) return "/";
    return path.startsWith(`${basePath}/`) || path.startsWith(`${basePath}?`)
      ? path.slice(basePath.length).replace(/^\?/, "/?")
      : undefined;
  }

  const tell = (message: string) => {
    const text = JSON.stringify({ event: "error", data: { message } });
    for (const socket of sockets.clients) socket.send(text);
  };
  const { folder, scratch = [], diskBytes, maximumFiles = standardMaximumFiles } = options;
  const disk = { folders: [folder, ...scratch], savedFolder: folder, maximumFiles, endPrograms, tell };
  const guards = [
    guardProcesses(tell),
    ...(diskBytes === undefined ? [] : [guardDisk({ ...disk, limitBytes: diskBytes })]),
  ];
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options.port, resolve));
  return {
    /** Tells every editor why, ends every program, and closes; in a few seconds, whoever holds a connection. */
    async stop(): Promise<void> {
      for (const stopGuarding of guards) stopGuarding();
      await Promise.race([endWork(), delay(stopGraceMs)]);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of opened) socket.destroy();
      await closed;
    },
  };
}

/** A page of the very host that is asked. */
function isOwnOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

function isLoopback(address: string | undefined): boolean {
  return address === "127.0.0.1" || address === "::1" || address === "::ffff:127.0.0.1";
}

/** Proxies cut silent connections, and a half-open one would count as a person for ever. */
function watchHealth(socket: WebSocket): void {
  let answered = true;
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, pingEveryMs);
  socket.on("pong", () => (answered = true));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => clearInterval(timer));
}

function end(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  response.end(text);
}

function sayClosing(response: ServerResponse): void {
  end(response, 503, "This REPL is being closed.", { "retry-after": "5" });
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
