import { randomUUID } from "node:crypto";
import { type IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Context } from "hono";
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

const areNamed = (headers: unknown): headers is OutgoingHttpHeaders | undefined =>
  headers === undefined || (typeof headers === "object" && !Array.isArray(headers));

/** An answer on a socket, whose headers are written with these, of which a route's own of the same name go before. */
export class AnswerWithCommonHeaders<Request extends IncomingMessage> extends ServerResponse<Request> {
  /** This answer's own: a route's are added to them. */
  common: OutgoingHttpHeaders = {};

  override writeHead(status: number, given?: unknown): this {
    if (!areNamed(given)) throw new TypeError("headers: an object of them is what goes with the common ones");
    for (const name in given) this.common[name.toLowerCase()] = given[name];
    return super.writeHead(status, this.common);
  }
}

/**
 * Gives each request its id, and each answer the headers that all have. They are left with the socket's own answer:
 * set there one by one, or as Headers objects, they would cost more than the rest of a look-up. `app.request` has
 * no socket.
 */
export function commonHeaders({ isProduction }: { readonly isProduction: boolean }) {
  const common = { ...standard, ...(isProduction ? inProduction : {}) };
  return (c: Context<Env>): void => {
    const given = c.req.header("x-request-id");
    const requestId = given && goodRequestId.test(given) ? given : randomUUID();
    c.set("requestId", requestId);
    const headers = { "x-request-id": requestId, ...common };
    const answer = c.env?.outgoing;
    if (answer instanceof AnswerWithCommonHeaders) answer.common = headers;
    else for (const [name, value] of Object.entries(headers)) c.header(name, value);
  };
}
