import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface GithubAccount {
  id: number;
  login: string;
  name: string | null;
  email: string | null;
  avatar_url: string;
  created_at: string;
}

/** What the next requests of one path meet, one each: a status, silence, or an answer that is no JSON. */
export type Trouble = number | "silence" | "nonsense";

interface Grant {
  readonly account: GithubAccount;
  readonly challenge: string | null;
  readonly redirectUri: string | null;
}

export type Github = Awaited<ReturnType<typeof startGithub>>;

/**
 * A GitHub for tests: a real HTTP server that speaks its OAuth and REST answers. `account` is who is signed
 * in there; the page /login/oauth/authorize asks them, or sends them back at once with `autoApprove`.
 */
export async function startGithub(application = { id: "client-1", secret: "secret-1" }) {
  const account: GithubAccount = {
    id: 583_231,
    login: "octocat",
    name: "The Octocat",
    email: null,
    avatar_url: "https://example.invalid/octocat.png",
    created_at: "2011-01-25T18:44:36Z",
  };
  const emails = [
    { email: "second@example.invalid", primary: false },
    { email: "octocat@example.invalid", primary: true },
  ];
  const state = { autoApprove: true, refusesEmails: false };
  const grants = new Map<string, Grant>();
  const tokens = new Map<string, GithubAccount>();
  const troubles = new Map<string, Trouble[]>();
  const requests: string[] = [];
  let callback = "";

  function newCode(redirectUri: string | null = null, challenge: string | null = null): string {
    const code = randomUUID();
    grants.set(code, { account: { ...account }, challenge, redirectUri });
    return code;
  }

  const json = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

  function authorize(url: URL, response: ServerResponse): void {
    const given = url.searchParams;
    if (given.get("client_id") !== application.id) return void json(response, 404, { message: "Not Found" });
    const back = new URL(given.get("redirect_uri") ?? callback);
    const allow = new URL(back);
    allow.searchParams.set("code", newCode(given.get("redirect_uri"), given.get("code_challenge")));
    const cancel = new URL(back);
    cancel.searchParams.set("error", "access_denied");
    for (const target of [allow, cancel]) target.searchParams.set("state", given.get("state") ?? "");
    if (state.autoApprove) return void response.writeHead(302, { location: allow.toString() }).end();
    response
      .writeHead(200, { "content-type": "text/html" })
      .end(`<a id="authorize" href="${allow.href}">Authorize</a> <a id="cancel" href="${cancel.href}">Cancel</a>`);
  }

  async function exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await text(request)) as Record<string, string | undefined>;
    const refuse = (error: string) => void json(response, 200, { error, error_description: `The ${error}.` });
    if (body["client_id"] !== application.id || body["client_secret"] !== application.secret)
      return refuse("incorrect_client_credentials");
    const grant = grants.get(body["code"] ?? "");
    // A code is good once.
    grants.delete(body["code"] ?? "");
    if (!grant) return refuse("bad_verification_code");
    if (grant.redirectUri && body["redirect_uri"] && body["redirect_uri"] !== grant.redirectUri)
      return refuse("redirect_uri_mismatch");
    const verifier = createHash("sha256")
      .update(body["code_verifier"] ?? "")
      .digest("base64url");
    if (grant.challenge && grant.challenge !== verifier) return refuse("bad_verification_code");
    const token = `gho_${randomUUID()}`;
    tokens.set(token, grant.account);
    json(response, 200, { access_token: token, token_type: "bearer", scope: "read:user,user:email" });
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://github");
    const path = url.pathname.replace(/^\/api\/v3/, "");
    requests.push(path);
    const trouble = troubles.get(path)?.shift();
    if (trouble === "silence") return;
    if (trouble === "nonsense") return void response.end("<html>unicorn</html>");
    if (trouble) return void json(response, trouble, { message: "Something went wrong" });
    if (path === "/login/oauth/authorize") return authorize(url, response);
    if (path === "/login/oauth/access_token") return exchange(request, response);
    const user = tokens.get((request.headers.authorization ?? "").replace(/^Bearer /, ""));
    if (!user) return void json(response, 401, { message: "Bad credentials" });
    if (path === "/user") return void json(response, 200, user);
    if (path === "/user/emails" && !state.refusesEmails) return void json(response, 200, emails);
    json(response, path === "/user/emails" ? 403 : 404, { message: "Resource not accessible by integration" });
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    application,
    account,
    state,
    requests,
    newCode,
    /** Where the application is registered to send people back to. */
    registerCallback: (url: string) => void (callback = url),
    trouble: (path: string, ...next: Trouble[]) => void troubles.set(path, next),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
