import { getCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import { sessionCookie, type Sessions } from "../sessions.ts";

const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Lets in who is signed in, by Bearer token or cookie. A cookie comes along with any page's request, so with
 * it a change must come from a page of ours, or with a content type that a foreign page cannot send unasked.
 */
export function requireSession(sessions: Sessions, allowedOrigins: readonly string[], changesByGet: RegExp) {
  return createMiddleware<Env>(async (c, next) => {
    const bearer = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const token = bearer ?? getCookie(c, sessionCookie);
    if (!token) throw new ReplError("unauthorized", "Sign in first: there is no session cookie and no Bearer token.");
    const { user } = await sessions.verify(token);
    const changes = !safeMethods.has(c.req.method) || changesByGet.test(c.req.path);
    if (!bearer && changes && !comesFromUs(c.req.header("origin"), c.req.header("content-type"), allowedOrigins)) {
      throw new ReplError(
        "forbidden",
        "This request does not come from a page of ours. Send Content-Type: application/json or use a Bearer token.",
      );
    }
    c.set("user", user);
    await next();
  });
}

function comesFromUs(
  origin: string | undefined,
  contentType: string | undefined,
  allowedOrigins: readonly string[],
): boolean {
  if (origin) return allowedOrigins.includes(origin);
  return contentType?.startsWith("application/json") ?? false;
}
