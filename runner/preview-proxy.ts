import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { createProxyServer } from "httpxy";
import { withoutAccessCookie } from "./access.ts";

export interface PreviewTarget {
  readonly port: number;
  /** What the program sees: path and query after `/user-app/<port>`. */
  readonly path: string;
  readonly prefix: string;
}

const lowestPort = 1024;
const highestPort = 65_535;

/** Reads `/user-app/<port>/<rest>` (the base path removed already); undefined when it is no preview or a port of the system's or our own. */
export function parsePreview(basePath: string, path: string, ownPort: number): PreviewTarget | undefined {
  const match = /^\/user-app\/(\d{1,5})(\/[^]*|\?[^]*)?$/.exec(path);
  const port = Number(match?.[1]);
  if (!match || port < lowestPort || port > highestPort || port === ownPort) return undefined;
  const rest = match[2] ?? "/";
  return { port, path: rest.startsWith("?") ? `/${rest}` : rest, prefix: `${basePath}/user-app/${port}` };
}

/** Passes requests and sockets on to programs that listen inside the pod. */
export function createPreviewProxy(onActivity: () => void) {
  const proxy = createProxyServer({ xfwd: true, ws: true, changeOrigin: false });

  function rewrite(request: IncomingMessage, target: PreviewTarget): { target: string } {
    onActivity();
    request.url = target.path;
    request.headers["x-forwarded-prefix"] = target.prefix;
    const cookie = withoutAccessCookie(request.headers.cookie);
    if (cookie) request.headers.cookie = cookie;
    else delete request.headers.cookie;
    return { target: `http://127.0.0.1:${target.port}` };
  }

  return {
    async request(request: IncomingMessage, response: ServerResponse, target: PreviewTarget): Promise<void> {
      try {
        await proxy.web(request, response, rewrite(request, target));
      } catch {
        if (response.headersSent) return void response.destroy();
        response.writeHead(502, { "content-type": "text/plain; charset=utf-8", "retry-after": "1" });
        response.end(`Nothing answers on port ${target.port} yet. Start your program, then reload.\n`);
      }
    },
    async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, target: PreviewTarget): Promise<void> {
      await proxy.ws(request, socket as never, rewrite(request, target), head).catch(() => socket.destroy());
    },
  };
}
