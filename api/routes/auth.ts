import { createHash } from "node:crypto";
import { Hono, type Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import { developmentSignIn, readBody, userJson } from "../schemas.ts";
import { sessionCookie, sessionSeconds, type Sessions, type SignedInUser } from "../sessions.ts";

export interface AuthOptions {
  readonly sessions: Sessions;
  readonly isProduction: boolean;
}

/** Sign-in for development, and who is signed in. */
export function authRoutes({ sessions, isProduction }: AuthOptions) {
  const routes = new Hono<Env>();

  routes.post("/dev", async (c) => {
    if (isProduction) throw new ReplError("not_found", "There is no such page.");
    const { login } = await readBody(c, developmentSignIn);
    const user = developmentUser(login);
    const { token, expiresAt } = await sessions.issue(user);
    setCookie(c, sessionCookie, token, {
      httpOnly: true,
      sameSite: "Lax",
      path: "/",
      maxAge: sessionSeconds,
      secure: isProduction,
    });
    return c.json({ user: userJson(user), token, expiresAt });
  });

  routes.get("/status", async (c) => {
    const current = await currentSession(c);
    return c.json(
      current
        ? { authenticated: true, user: userJson(current.user), token_expires_at: current.expiresAt }
        : { authenticated: false },
    );
  });

  routes.get("/me", async (c) => {
    const current = await currentSession(c);
    if (!current) throw new ReplError("unauthorized", "Sign in first.");
    return c.json(userJson(current.user));
  });

  async function currentSession(c: Context<Env>) {
    const token = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? getCookie(c, sessionCookie);
    return token ? sessions.verify(token).catch(() => undefined) : undefined;
  }

  return routes;
}

/** The same login is the same person every time, with an id above all of GitHub's. */
function developmentUser(login: string): SignedInUser {
  const number = createHash("sha256").update(login.toLowerCase()).digest().readUIntBE(0, 5);
  return {
    id: String(1_000_000_000_000 + number),
    login: login.toLowerCase(),
    name: login,
    email: `${login.toLowerCase()}@localhost`,
    avatarUrl: "",
    createdAt: "2026-01-01T00:00:00.000Z",
  };
}
