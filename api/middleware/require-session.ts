import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import type { RateLimits } from "../rate-limits.ts";
import { sessionCookie, type Session, type Sessions } from "../sessions.ts";

const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);
/** The existing front end opens a REPL by GET. */
const changesByGet = /^\/api\/repl\/session\//;

const changes = (c: Context): boolean => !safeMethods.has(c.req.method) || changesByGet.test(c.req.path);

export interface RequireSessionOptions {
  readonly sessions: Sessions;
  /** Origins whose pages may change something with the session cookie. */
  readonly allowedOrigins: readonly string[];
  readonly limits: RateLimits;
}

const scheme = "bearer ";

export function bearerOf(c: Context): string | undefined {
  const given = c.req.header("authorization") ?? "";
  return given.slice(0, scheme.length).toLowerCase() === scheme ? given.slice(scheme.length) : undefined;
}

/** The token of a request: the Bearer's before the cookie's. */
export function tokenOf(c: Context): { token: string; isBearer: boolean } | undefined {
  const bearer = bearerOf(c);
  if (bearer) return { token: bearer, isBearer: true };
  const cookie = getCookie(c, sessionCookie);
  return cookie ? { token: cookie, isBearer: false } : undefined;
}

/**
 * Lets in who is signed in, as often as one user may ask. A cookie comes along with any page's request, so with
 * it a change must come from a page of ours, or with a content type that a foreign page cannot send unasked.
 */
export function requireSession({ sessions, allowedOrigins, limits }: RequireSessionOptions) {
  async function sessionOf(c: Context<Env>): Promise<Session> {
    const found = tokenOf(c);
    if (!found) throw new ReplError("unauthorized", "Sign in first: there is no session cookie and no Bearer token.");
    const session = await sessions.verify(found.token);
    if (changes(c) && !found.isBearer) refuseForeign(c, allowedOrigins);
    return session;
  }

  /** Who only looks, and was here before: the many, for whom nothing is waited for. */
  function knownSessionOf(c: Context<Env>): Session | undefined {
    const found = changes(c) ? undefined : tokenOf(c);
    return found && sessions.known(found.token);
  }

  return createMiddleware<Env>(async (c, next) => {
    const known = knownSessionOf(c);
    const session = known ?? (await limits.admit(c, () => sessionOf(c)));
    await limits.countUser(c, session.user.id);
    c.set("session", session);
    c.set("user", session.user);
    if (!known) await sessions.refuseRevoked(session);
    await next();
  });
}

/** Throws `forbidden` for a change that may come from somebody else's page. */
export function refuseForeign(c: Context, allowedOrigins: readonly string[]): void {
  const origin = c.req.header("origin");
  const isOurs = origin
    ? allowedOrigins.includes(origin)
    : (c.req.header("content-type")?.startsWith("application/json") ?? false);
  if (!isOurs)
    throw new ReplError(
      "forbidden",
      "This request does not come from a page of ours. Send Content-Type: application/json or use a Bearer token.",
    );
}
