import { createHash } from "node:crypto";
import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import { requireSession, tokenOf, type RequireSessionOptions } from "../middleware/require-session.ts";
import { createRoutes, jsonBody, jsonContent, jsonOnly, problems, sessionSecurity } from "../openapi.ts";
import {
  authStatusSchema,
  developmentSignIn,
  githubSignIn,
  messageSchema,
  signedInSchema,
  userJson,
  userSchema,
} from "../schemas.ts";
import { expiryOf, sessionCookie, sessionSeconds, type Session, type SignedInUser } from "../sessions.ts";
import { githubRoutes, type GithubRoutesOptions } from "./github.ts";

export interface AuthOptions extends RequireSessionOptions, GithubRoutesOptions {
  readonly isProduction: boolean;
}

const tags = ["Sign-in"];
const signedIn = jsonContent(signedInSchema, "Signed in; the cookie devex_session is set");

const postGithub = createRoute({
  method: "post",
  path: "/github",
  tags,
  summary: "Sign in with the code of a GitHub redirect",
  middleware: jsonOnly,
  request: { body: jsonBody(githubSignIn) },
  responses: { 200: signedIn, ...problems(400, 401, 404) },
});

const postDevelopment = createRoute({
  method: "post",
  path: "/dev",
  tags,
  summary: "Sign in by a name alone; only in development",
  middleware: jsonOnly,
  request: { body: jsonBody(developmentSignIn) },
  responses: { 200: signedIn, ...problems(400, 404) },
});

const postLogout = createRoute({
  method: "post",
  path: "/logout",
  tags,
  summary: "End this session for good",
  security: sessionSecurity,
  responses: { 200: jsonContent(messageSchema, "The token is worth nothing any more"), ...problems(401, 403) },
});

const getMe = createRoute({
  method: "get",
  path: "/me",
  tags,
  summary: "Who is signed in",
  security: sessionSecurity,
  responses: { 200: jsonContent(userSchema, "The user"), ...problems(401) },
});

const getStatus = createRoute({
  method: "get",
  path: "/status",
  tags,
  summary: "Whether somebody is signed in, and who",
  responses: { 200: jsonContent(authStatusSchema, "Also when nobody is"), ...problems() },
});

/** Signing in and out. */
export function authRoutes(options: AuthOptions) {
  const { sessions, limits, github, isProduction } = options;
  const cookie = { httpOnly: true, sameSite: "Lax", path: "/", secure: isProduction } as const;

  async function begin(c: Context<Env>, user: SignedInUser) {
    const { token, expiresAt } = await sessions.issue(user);
    setCookie(c, sessionCookie, token, { ...cookie, maxAge: sessionSeconds });
    return { user: userJson(user), token, expiresAt };
  }

  async function currentSession(c: Context<Env>): Promise<Session | undefined> {
    const found = tokenOf(c);
    if (!found) return undefined;
    try {
      const session = await sessions.verify(found.token);
      await sessions.refuseRevoked(session);
      return session;
    } catch (error) {
      if (error instanceof ReplError && error.code === "unauthorized") return undefined;
      throw error;
    }
  }

  const waysToSignIn = [...(github ? ["github" as const] : []), ...(isProduction ? [] : ["development" as const])];
  const routes = createRoutes();
  for (const path of ["/github/*", "/dev"])
    routes.use(path, async (c, next) => {
      await limits.countStranger(c);
      await next();
    });
  for (const path of ["/logout", "/me"]) routes.use(path, requireSession(options));

  return routes
    .route("/github", githubRoutes(options, begin))
    .openapi(postGithub, async (c) => {
      if (!github)
        throw new ReplError("not_found", "Sign-in with GitHub is not configured: set GITHUB_ID and GITHUB_SECRET.");
      const { code, redirectUri, codeVerifier } = c.req.valid("json");
      return c.json(await begin(c, await github.signIn(code, redirectUri, codeVerifier)), 200);
    })
    .openapi(postDevelopment, async (c) => {
      if (isProduction) throw new ReplError("not_found", "There is no such page.");
      return c.json(await begin(c, developmentUser(c.req.valid("json").login)), 200);
    })
    .openapi(postLogout, async (c) => {
      await sessions.revoke(c.get("session"));
      deleteCookie(c, sessionCookie, cookie);
      return c.json({ message: "Signed out." }, 200);
    })
    .openapi(getMe, (c) => c.json(userJson(c.get("user")), 200))
    .openapi(getStatus, async (c) => {
      const session = await currentSession(c);
      const who = session
        ? { authenticated: true, user: userJson(session.user), token_expires_at: expiryOf(session) }
        : { authenticated: false };
      return c.json({ ...who, sign_in: waysToSignIn }, 200);
    });
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
