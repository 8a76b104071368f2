import { Agent, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { LookupFunction } from "node:net";
import { createProxyServer } from "httpxy";
import { accessCookie, withoutAccessCookie } from "./access.ts";

export interface PreviewTarget {
  readonly port: number;
  /** What the program sees: path and query after `/user-app/<port>`, all of it at a host of its own. */
  readonly path: string;
  /** Empty at a host of its own. */
  readonly prefix: string;
}

const sandboxed = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";
export const lowestPort = 1024;
export const highestPort = 65_535;

/** Reads `/user-app/<port>/<rest>` (the base path removed already); undefined when it is no preview or a port of the system's or our own. */
export function parsePreview(basePath: string, path: string, ownPort: number): PreviewTarget | undefined {
  const match = /^\/user-app\/(\d{1,5})(\/[^]*|\?[^]*)?$/.exec(path);
  const port = Number(match?.[1]);
  if (!match || !isForPrograms(port, ownPort)) return undefined;
  const rest = match[2] ?? "/";
  return { port, path: rest.startsWith("?") ? `/${rest}` : rest, prefix: `${basePath}/user-app/${port}` };
}

/** Reads the host `<port>-<replId>.<domain>`; undefined when it is another one. */
export function parsePreviewHost(
  { headers, url = "/" }: IncomingMessage,
  { replId, previewDomain, port: ownPort }: { replId: string; previewDomain?: string | undefined; port: number },
): PreviewTarget | undefined {
  if (previewDomain === undefined) return undefined;
  const host = headers.host?.replace(/:\d+$/, "").toLowerCase() ?? "";
  const port = Number.parseInt(host);
  if (host !== `${port}-${replId}.${previewDomain}` || !isForPrograms(port, ownPort)) return undefined;
  return { port, path: url.startsWith("/") ? url : `/${url}`, prefix: "" };
}

function isForPrograms(port: number, ownPort: number): boolean {
  return port >= lowestPort && port <= highestPort && port !== ownPort;
}

/** Programs that listen on `localhost` choose one of the two. */
const loopback = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const lookUpLoopback: LookupFunction = (_host, _options, callback) => callback(null, loopback);

/**
 * Passes requests and sockets on to programs that listen inside the pod. A program hears of its prefix by
 * `X-Forwarded-Prefix`; where it redirects to and what its cookies are for is kept below it, whether it heeds that
 * or not.
 */
export function createPreviewProxy(onActivity: () => void) {
  const agent = new Agent({ keepAlive: true, lookup: lookUpLoopback, autoSelectFamily: true });
  const proxy = createProxyServer({ xfwd: true, ws: true, changeOrigin: false, agent });
  const visits = new WeakMap<IncomingMessage, { readonly target: PreviewTarget; readonly isForStrangers: boolean }>();

  proxy.on("proxyRes", (answer, request) => {
    const visit = visits.get(request);
    if (!visit) return;
    const { target, isForStrangers } = visit;
    // All previews by path have one origin: a page that anybody may open gets none, so that it cannot act as whoever opens it.
    if (isForStrangers) answer.headers["content-security-policy"] = sandboxed;
    const { location, "set-cookie": cookies } = answer.headers;
    if (location) answer.headers.location = keepInside(location, target, request.headers.host);
    if (cookies) answer.headers["set-cookie"] = cookies.flatMap((cookie) => cookieInside(cookie, target.prefix) ?? []);
  });

  function rewrite(request: IncomingMessage, target: PreviewTarget, isForStrangers = false): { target: string } {
    onActivity();
    visits.set(request, { target, isForStrangers });
    request.url = target.path;
    if (target.prefix) request.headers["x-forwarded-prefix"] = target.prefix;
    else delete request.headers["x-forwarded-prefix"];
    const cookie = withoutAccessCookie(request.headers.cookie);
    if (cookie) request.headers.cookie = cookie;
    else delete request.headers.cookie;
    return { target: `http://localhost:${target.port}` };
  }

  return {
    /** For strangers a page has no origin: no cookies, no storage, and no way to what else they have open here. */
    async request(
      request: IncomingMessage,
      response: ServerResponse,
      target: PreviewTarget,
      { isForStrangers }: { readonly isForStrangers: boolean },
    ): Promise<void> {
      try {
        await proxy.web(request, response, rewrite(request, target, isForStrangers));
      } catch {
        if (response.headersSent) return void response.destroy();
        const isForPeople = request.headers.accept?.includes("text/html");
        const type = isForPeople ? "text/html" : "text/plain";
        response.writeHead(502, { "content-type": `${type}; charset=utf-8`, "retry-after": "1" });
        const sentence = `Nothing answers on port ${target.port} yet. Start your program`;
        response.end(isForPeople ? waitingPage(sentence) : `${sentence}, then reload.\n`);
      }
    },
    async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, target: PreviewTarget): Promise<void> {
      await proxy.ws(request, socket as never, rewrite(request, target), head).catch(() => socket.destroy());
    },
  };
}

/** A redirect to the program itself, by path or by address, leads to its preview; any other goes where it says. */
export function keepInside(location: string, { port, prefix }: PreviewTarget, host: string | undefined): string {
  if (location.startsWith("/") && !location.startsWith("//")) return below(prefix, location);
  if (!URL.canParse(location)) return location;
  const url = new URL(location);
  const isItself = url.host === host || [`localhost:${port}`, `127.0.0.1:${port}`].includes(url.host);
  return isItself ? below(prefix, url.pathname + url.search + url.hash) : location;
}

function below(prefix: string, path: string): string {
  const isBelow = path === prefix || path.startsWith(`${prefix}/`) || path.startsWith(`${prefix}?`);
  return isBelow ? path : prefix + path;
}

/** A cookie for this preview alone, and never one with the name of ours. */
function cookieInside(cookie: string, prefix: string): string | undefined {
  const [pair = "", ...attributes] = cookie.split(";").map((part) => part.trim());
  if (pair.split("=")[0] === accessCookie) return undefined;
  const named = (name: string) => attributes.find((attribute) => attribute.toLowerCase().startsWith(`${name}=`));
  const path = named("path")?.slice("path=".length) ?? "";
  const inside = below(prefix, path.startsWith("/") ? path : "/");
  const others = attributes.filter((attribute) => attribute !== named("path") && attribute !== named("domain"));
  return [pair, `Path=${inside}`, ...others].join("; ");
}

function waitingPage(sentence: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Waiting for your program</title>
<style>body{font:16px system-ui;display:grid;place-content:center;min-height:90vh;text-align:center;color:#334}</style>
<h1>Waiting for your program</h1><p>${sentence}; this page looks again every two seconds.</p></html>
`;
}
