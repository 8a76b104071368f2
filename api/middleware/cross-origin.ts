import type { Context, Next } from "hono";
import { cors } from "hono/cors";

/** CORS for the front end's pages. A request of no page passes as it is: `cors` makes objects that it has no use for. */
export function crossOrigin({ frontendUrl }: { readonly frontendUrl: string }) {
  const allowFrontend = cors({
    origin: new URL(frontendUrl).origin,
    credentials: true,
    allowHeaders: ["Content-Type", "Authorization", "Idempotency-Key", "Prefer", "Last-Event-ID"],
    exposeHeaders: ["Location", "Retry-After"],
    maxAge: 600,
  });
  async function answer(c: Context, next: Next): Promise<void> {
    const preflight = await allowFrontend(c, next);
    if (preflight) c.res = preflight;
  }
  return (c: Context, next: Next): Promise<void> => (c.req.header("origin") === undefined ? next() : answer(c, next));
}
