import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { SignedInUser } from "./sessions.ts";

export interface GithubOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  /** https://github.com, or the address of a GitHub Enterprise server. */
  readonly url: string;
  readonly apiUrl: string;
  readonly timeoutMs?: number;
  readonly retryPauseMs?: number;
}

type Fetch = typeof fetch;

const standardTimeoutMs = 5000;
const standardRetryPauseMs = 300;
const userAgent = "devex-core";

const tokenAnswer = z.union([
  z.object({ access_token: z.string().min(1) }),
  z.object({ error: z.string(), error_description: z.string().optional() }),
]);
const githubUser = z.object({
  id: z.int().positive(),
  login: z.string().min(1),
  name: z.string().nullish(),
  email: z.string().nullish(),
  avatar_url: z.string().nullish(),
  created_at: z.string().nullish(),
});
const githubEmails = z.array(z.object({ email: z.string(), primary: z.boolean().optional() }));

export type Github = ReturnType<typeof createGithub>;

/** Speaks to GitHub: each call has a time limit and one more try, and what GitHub refuses has a code people can act on. */
export function createGithub(options: GithubOptions) {
  const { timeoutMs = standardTimeoutMs, retryPauseMs = standardRetryPauseMs } = options;

  /** Sends a request again once when GitHub does not answer or has trouble of its own. Throws `unavailable`. */
  async function send(url: string, init: RequestInit): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await globalFetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) });
        if (response.status < 500) return response;
        if (attempt > 1) throw new Error(`it answers ${response.status}`);
      } catch (error) {
        if (attempt > 1)
          throw new ReplError("unavailable", `GitHub does not answer (${messageOf(error)}). Try again in a moment.`, {
            cause: error,
          });
      }
      await delay(retryPauseMs);
    }
  }

  async function exchange(body: Readonly<Record<string, string | undefined>>): Promise<Response> {
    return send(`${options.url}/login/oauth/access_token`, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", "user-agent": userAgent },
      body: JSON.stringify({ ...body, client_id: options.clientId, client_secret: options.clientSecret }),
    });
  }

  const get = (path: string, authorization: string) =>
    send(`${options.apiUrl}${path}`, {
      headers: { authorization, accept: "application/vnd.github+json", "user-agent": userAgent },
    });

  /** An account may keep its addresses to itself: then there are none. */
  async function readEmails(authorization: string): Promise<z.infer<typeof githubEmails>> {
    const response = await get("/user/emails", authorization);
    return response.ok ? githubEmails.catch([]).parse(await response.json()) : [];
  }

  async function readUser(authorization: string): Promise<SignedInUser> {
    const response = await get("/user", authorization);
    const parsed = githubUser.safeParse(response.ok ? await response.json() : undefined);
    if (!parsed.success) throw new ReplError("unauthorized", `GitHub does not say who you are (${response.status}).`);
    const emails = await readEmails(authorization);
    const email = emails.find(({ primary }) => primary)?.email ?? emails[0]?.email;
    return signedInUser({ ...parsed.data, email: email ?? parsed.data.email });
  }

  return {
    options,

    /** Turns the code of a redirect into a user. Throws `unauthorized` for a code that GitHub does not take. */
    async signIn(code: string, redirectUri?: string, codeVerifier?: string): Promise<SignedInUser> {
      const response = await exchange({ code, redirect_uri: redirectUri, code_verifier: codeVerifier });
      const answer = tokenAnswer.safeParse(await response.json().catch(() => undefined));
      if (!answer.success) throw new ReplError("unavailable", "GitHub's answer cannot be read. Try again in a moment.");
      if ("error" in answer.data)
        throw new ReplError(
          "unauthorized",
          `GitHub does not take this code (${answer.data.error_description ?? answer.data.error}). Sign in again.`,
        );
      return readUser(`Bearer ${answer.data.access_token}`);
    },

    /**
     * What the sign-in library gets for `fetch`: it names github.com itself, waits without end, and fails a whole
     * sign-in when the addresses are refused.
     */
    fetchFor(codeVerifier: string | undefined, redirectUri: string | undefined): Fetch {
      return async (input, init) => {
        const { pathname } = new URL(input instanceof Request ? input.url : String(input));
        const authorization = new Headers(init?.headers).get("authorization") ?? "";
        if (pathname === "/login/oauth/access_token") {
          const { code } = JSON.parse(init?.body as string) as { code: string };
          return exchange({ code, redirect_uri: redirectUri, code_verifier: codeVerifier });
        }
        if (pathname === "/user/emails") return Response.json(await readEmails(authorization));
        return get(pathname, authorization);
      };
    },
  };
}

export function signedInUser({
  id,
  login,
  name,
  email,
  avatar_url,
  created_at,
}: z.infer<typeof githubUser>): SignedInUser {
  return {
    id: String(id),
    login,
    // Many accounts have no name.
    name: name || login,
    email: email ?? "",
    avatarUrl: avatar_url ?? "",
    createdAt: created_at ?? "",
  };
}

const globalFetch = globalThis.fetch;
const scopedFetch = new AsyncLocalStorage<Fetch>();
let isScoped = false;

/**
 * Runs `work` with another `fetch` than the process's own: the sign-in library takes none as an option
 * (decision 0007). Whatever runs outside of `work` is not touched.
 */
export function withFetch<T>(own: Fetch, work: () => T): T {
  if (!isScoped) {
    isScoped = true;
    globalThis.fetch = (input, init) => (scopedFetch.getStore() ?? globalFetch)(input, init);
  }
  return scopedFetch.run(own, work);
}
