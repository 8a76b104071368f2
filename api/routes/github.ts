import { createHash, randomBytes } from "node:crypto";
import { createRoute } from "@hono/zod-openapi";
import { githubAuth, type GitHubScope } from "@hono/oauth-providers/github";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { ReplError } from "../../domain/errors.ts";
import type { Env } from "../env.ts";
import { signedInUser, withFetch, type Github } from "../github.ts";
import { createRoutes, problems } from "../openapi.ts";
import type { SignedInUser } from "../sessions.ts";

export interface GithubRoutesOptions {
  /** Absent where no GitHub application is configured. */
  readonly github?: Github | undefined;
  readonly frontendUrl: string;
  /** Where GitHub sends people back to; the application's own setting when absent. */
  readonly callbackUrl?: string | undefined;
}

const scope: GitHubScope[] = ["read:user", "user:email"];
const verifierCookie = "devex_login";
/** As long as the library keeps its state. */
const signInSeconds = 600;

/** Why a sign-in failed, for the page that shows it. */
type Failure = "access_denied" | "invalid_state" | "invalid_code" | "github_unavailable" | "not_configured";

const redirects = {
  ...problems(),
  302: { description: "To GitHub, or back to the front end: /dashboard, or /login?error=<code>" },
};
const describedAs = (path: string, summary: string, hide = false) =>
  createRoute({ method: "get", path, tags: ["Sign-in"], summary, responses: redirects, hide });

/** Sign-in with a browser, by way of GitHub. `begin` gives the session once GitHub has said who it is. */
export function githubRoutes(
  { github, frontendUrl, callbackUrl }: GithubRoutesOptions,
  begin: (c: Context<Env>, user: SignedInUser) => Promise<unknown>,
) {
  const fail = (c: Context<Env>, failure: Failure) => {
    forget(c);
    return c.redirect(`${frontendUrl}/login?error=${failure}`);
  };

  function forget(c: Context<Env>): void {
    deleteCookie(c, "state", { path: "/", secure: true });
    deleteCookie(c, verifierCookie, { path: "/auth/github", secure: true });
  }

  async function start(c: Context<Env>, login: Github): Promise<Response> {
    const response = await library(login)(c, async () => {});
    const verifier = randomBytes(32).toString("base64url");
    setCookie(c, verifierCookie, verifier, {
      httpOnly: true,
      sameSite: "Lax",
      secure: true,
      path: "/auth/github",
      maxAge: signInSeconds,
    });
    const target = new URL(response?.headers.get("location") ?? "");
    const address = new URL(`${login.options.url}${target.pathname}`);
    address.search = target.search;
    address.searchParams.set("scope", scope.join(" "));
    address.searchParams.set("code_challenge", createHash("sha256").update(verifier).digest("base64url"));
    address.searchParams.set("code_challenge_method", "S256");
    if (callbackUrl) address.searchParams.set("redirect_uri", callbackUrl);
    return c.redirect(address.toString());
  }

  async function finish(c: Context<Env>, login: Github): Promise<Response> {
    let user: SignedInUser | undefined;
    try {
      await withFetch(login.fetchFor(getCookie(c, verifierCookie), callbackUrl), () =>
        library(login)(c, async () => {
          const found = c.get("user-github");
          if (found?.id && found.login) user = signedInUser({ ...found, id: found.id, login: found.login });
        }),
      );
    } catch (error) {
      return fail(c, failureOf(error));
    }
    if (!user) return fail(c, "github_unavailable");
    forget(c);
    await begin(c, user);
    return c.redirect(`${frontendUrl}/dashboard`);
  }

  function library({ options }: Github) {
    return githubAuth({ client_id: options.clientId, client_secret: options.clientSecret, scope, oauthApp: true });
  }

  function signIn(c: Context<Env>): Promise<Response> | Response {
    if (!github) return fail(c, "not_configured");
    // Whoever presses Cancel comes back without a code; the library would send them to GitHub again.
    if (c.req.query("error")) return fail(c, "access_denied");
    if (c.req.query("code")) return finish(c, github);
    return c.req.path.includes("/callback") ? fail(c, "invalid_state") : start(c, github);
  }

  return createRoutes()
    .openapi(describedAs("/", "Sign in with GitHub"), signIn)
    .openapi(describedAs("/login", "Sign in with GitHub", true), signIn)
    .openapi(describedAs("/callback", "Where GitHub sends people back to"), signIn);
}

function failureOf(error: unknown): Failure {
  if (error instanceof HTTPException) return error.status === 401 ? "invalid_state" : "invalid_code";
  if (error instanceof ReplError && error.code === "unauthorized") return "invalid_code";
  return "github_unavailable";
}
