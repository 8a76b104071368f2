import { randomUUID } from "node:crypto";
import { createMiddleware } from "hono/factory";
import type { Env } from "../env.ts";

/** What a browser must not do with an answer of an API. */
const standard: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-site",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "x-permitted-cross-domain-policies": "none",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
  // An answer differs by the page that asks (CORS).
  vary: "Origin",
};
const inProduction = { "strict-transport-security": "max-age=15552000; includeSubDomains" };
const goodRequestId = /^[\w-]{1,100}$/;

/**
 * Gives each request its id, and each answer the headers that all have. They go to the socket's own response:
 * as Headers objects they would cost more than the rest of a look-up. `app.request` has no socket.
 */
export function commonHeaders({ isProduction }: { readonly isProduction: boolean }) {
  const headers = Object.entries({ ...standard, ...(isProduction ? inProduction : {}) });
  return createMiddleware<Env>(async (c, next) => {
    const given = c.req.header("x-request-id");
    const requestId = given && goodRequestId.test(given) ? given : randomUUID();
    c.set("requestId", requestId);
    const outgoing = c.env?.outgoing;
    const set = (name: string, value: string) => (outgoing ? outgoing.setHeader(name, value) : c.header(name, value));
    set("x-request-id", requestId);
    for (const [name, value] of headers) set(name, value);
    await next();
  });
}
