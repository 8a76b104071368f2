import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";

export interface PageOptions {
  /** What tools/build-page.ts has made. */
  readonly folder: string;
  readonly runnerUrl: string;
  readonly previewDomain?: string | undefined;
}

/** Each is the same document, which shows what its address names. */
const addresses = ["/", "/dashboard", "/login", "/room/:id"];

/** The page that people use this API by. */
export function pageRoutes({ folder, runnerUrl, previewDomain }: PageOptions) {
  const routes = new Hono<Env>({ strict: false });
  const policy = contentSecurityPolicy(runnerUrl, previewDomain);

  for (const address of addresses)
    routes.get(address, async (c) => {
      const html = await readFile(join(folder, "index.html"), "utf8").catch(() => undefined);
      if (html === undefined) throw new ReplError("not_found", "The page is not built: node tools/build-page.ts");
      c.header("Content-Security-Policy", policy);
      c.header("Cache-Control", "no-cache");
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
