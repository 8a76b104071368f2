import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import { sessionCookie } from "../sessions.ts";

export interface PageOptions {
  /** What tools/build-page.ts has made. */
  readonly folder: string;
  readonly runnerUrl: string;
  readonly previewDomain?: string | undefined;
}

interface Document {
  readonly name: string;
  /** What somebody who is signed in is shown of it, for the browser to ask while it loads the page. */
  readonly shows?: string;
}

/** The document for each address; the page in them is the same, and shows what its address names. */
const documents: Readonly<Record<string, Document>> = {
  "/": { name: "index.html", shows: "/api/repl" },
  "/dashboard": { name: "index.html", shows: "/api/repl" },
  "/login": { name: "index.html" },
  "/room/:id": { name: "room.html" },
};

/** The page that people use this API by. */
export function pageRoutes({ folder, runnerUrl, previewDomain }: PageOptions) {
  const routes = new Hono<Env>({ strict: false });
  const policy = contentSecurityPolicy(runnerUrl, previewDomain);

  for (const [address, { name, shows }] of Object.entries(documents))
    routes.get(address, async (c) => {
      const html = await readFile(join(folder, name), "utf8").catch(() => undefined);
      if (html === undefined) throw new ReplError("not_found", "The page is not built: node tools/build-page.ts");
      c.header("Content-Security-Policy", policy);
      c.header("Cache-Control", "no-cache");
      if (shows && getCookie(c, sessionCookie)) c.header("Link", `<${shows}>; rel=preload; as=fetch; crossorigin`);
      return c.html(html);
    });
  routes.use("/page/*", async (c, next) => {
    await next();
    // The name of each holds a digest of its content.
    if (c.res.ok) c.header("Cache-Control", "public, max-age=31536000, immutable");
  });
  routes.use("/page/*", serveStatic({ root: folder, precompressed: true }));
  return routes;
}

/**
 * Scripts are ours alone, none of them inline. Editor and terminal make styles as they run (docs/decisions/0024), and
 * the pictures of a workspace are shown from memory.
 */
function contentSecurityPolicy(runnerUrl: string, previewDomain: string | undefined): string {
  const { origin, protocol, port } = new URL(runnerUrl);
  const socket = origin.replace(/^http/, "ws");
  const previews = previewDomain ? ` ${protocol}//*.${previewDomain}${port ? `:${port}` : ""}` : "";
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob: https://avatars.githubusercontent.com",
    "font-src 'self'",
    `connect-src 'self' ${origin} ${socket}`,
    `frame-src ${origin}${previews}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}
