import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createGithub } from "../../../api/github.ts";
import { frontendUrl, startApi } from "../../fakes/api.ts";
import { startGithub, type Github } from "../../fakes/github.ts";
import { problemOf } from "./problem-of.ts";

const callbackUrl = "http://api.example/auth/github/callback";

describe("sign-in with GitHub", () => {
  let github: Github;
  let api: Awaited<ReturnType<typeof startApi>>;
  beforeAll(async () => {
    github = await startGithub();
  });
  beforeEach(async () => {
    Object.assign(github.state, { autoApprove: true, refusesEmails: false });
    Object.assign(github.account, { login: "octocat", name: "The Octocat", email: null });
    github.requests.length = 0;
    for (const path of ["/login/oauth/access_token", "/user", "/user/emails"]) github.trouble(path);
    const { id: clientId, secret: clientSecret } = github.application;
    api = await startApi({
      github: createGithub({
        clientId,
        clientSecret,
        url: github.url,
        apiUrl: `${github.url}/api/v3`,
        timeoutMs: 200,
        retryPauseMs: 10,
      }),
      callbackUrl,
    });
  });
  afterAll(() => github.close());

  /** A browser's cookies for the API. */
  function browser() {
    const cookies = new Map<string, string>();
    return {
      cookies,
      async get(path: string) {
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
        const response = await api.app.request(path, { headers: cookie ? { cookie } : {} });
        for (const line of response.headers.getSetCookie()) {
          const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
          if (value === "" || /max-age=0/i.test(line)) cookies.delete(name);
          else cookies.set(name, value);
        }
        return { response, location: response.headers.get("location") ?? "" };
      },
    };
  }
  /** Goes to GitHub and back, up to our callback. */
  async function throughGithub(visitor: ReturnType<typeof browser>): Promise<string> {
    const { location } = await visitor.get("/auth/github");
    expect(location.startsWith(`${github.url}/login/oauth/authorize?`)).toBe(true);
    const back = await fetch(location, { redirect: "manual" });
    const target = new URL(back.headers.get("location") ?? "");
    expect(`${target.origin}${target.pathname}`).toBe(callbackUrl);
    return target.pathname + target.search;
  }

  it("goes to GitHub, comes back and ends on the dashboard, signed in", async () => {
    const visitor = browser();
    const { response, location } = await visitor.get(await throughGithub(visitor));
    expect([response.status, location]).toEqual([302, `${frontendUrl}/dashboard`]);
    expect([...visitor.cookies.keys()]).toEqual(["devex_session"]);
    const me = (await (await visitor.get("/auth/me")).response.json()) as object;
    expect(me).toEqual({
      id: 583_231,
      login: "octocat",
      name: "The Octocat",
      email: "octocat@example.invalid",
      avatar_url: "https://example.invalid/octocat.png",
      created_at: "2011-01-25T18:44:36Z",
    });
  });

  it("works under its other name", async () => {
    expect((await browser().get("/auth/github/login/")).location).toContain("/login/oauth/authorize?");
  });

  it("asks for PKCE, an address of ours and no more than it needs", async () => {
    const query = new URL((await browser().get("/auth/github")).location).searchParams;
    expect(Object.fromEntries(query)).toMatchObject({
      client_id: "client-1",
      redirect_uri: callbackUrl,
      code_challenge_method: "S256",
      scope: "read:user user:email",
    });
    expect(query.get("code_challenge")).toMatch(/^[\w-]{43}$/);
    expect(query.get("state")?.length).toBeGreaterThanOrEqual(32);
  });

  it.each(["/auth/github/callback", "/auth/github"])("does not loop when somebody cancels (%s)", async (path) => {
    const { location } = await browser().get(`${path}?error=access_denied&state=x`);
    expect(location).toBe(`${frontendUrl}/login?error=access_denied`);
  });

  it("refuses a callback without a code, without its cookie, or with another state", async () => {
    const failed = `${frontendUrl}/login?error=invalid_state`;
    expect((await browser().get("/auth/github/callback")).location).toBe(failed);
    const visitor = browser();
    const path = await throughGithub(visitor);
    expect((await browser().get(path)).location).toBe(failed);
    expect((await visitor.get(path.replace("state=", "state=x"))).location).toBe(failed);
    expect(github.requests).not.toContain("/login/oauth/access_token");
    expect(visitor.cookies.has("devex_session")).toBe(false);
  });

  it("takes a state once", async () => {
    const visitor = browser();
    const path = await throughGithub(visitor);
    await visitor.get(path);
    expect((await visitor.get(path)).location).toBe(`${frontendUrl}/login?error=invalid_state`);
  });

  it("refuses a code that was used, never was, or belongs to another browser's sign-in", async () => {
    const visitor = browser();
    const path = await throughGithub(visitor);
    const stolen = browser();
    const own = await throughGithub(stolen);
    const mixed = own.replace(/code=[^&]+/, /code=[^&]+/.exec(path)?.[0] ?? "");
    expect((await stolen.get(mixed)).location).toBe(`${frontendUrl}/login?error=invalid_code`);
    const third = browser();
    const unknown = (await throughGithub(third)).replace(/code=[^&]+/, "code=unknown");
    expect((await third.get(unknown)).location).toBe(`${frontendUrl}/login?error=invalid_code`);
  });

  it.each(["/login/oauth/access_token", "/user", "/user/emails"])(
    "tries %s once more, and then says so",
    async (at) => {
      for (const trouble of [500, "silence"] as const) {
        github.trouble(at, trouble);
        const visitor = browser();
        expect((await visitor.get(await throughGithub(visitor))).location).toBe(`${frontendUrl}/dashboard`);
        github.trouble(at, trouble, trouble);
        const second = browser();
        expect((await second.get(await throughGithub(second))).location).toBe(
          `${frontendUrl}/login?error=github_unavailable`,
        );
      }
    },
  );

  it("takes an answer that is no JSON for trouble of GitHub's", async () => {
    github.trouble("/login/oauth/access_token", "nonsense");
    const visitor = browser();
    expect((await visitor.get(await throughGithub(visitor))).location).toBe(
      `${frontendUrl}/login?error=github_unavailable`,
    );
  });

  it("signs in whoever keeps their addresses or their name to themselves", async () => {
    github.state.refusesEmails = true;
    github.account.name = null;
    const visitor = browser();
    await visitor.get(await throughGithub(visitor));
    expect(await (await visitor.get("/auth/me")).response.json()).toMatchObject({ name: "octocat", email: "" });
  });

  it("knows somebody again who has another login now", async () => {
    const before = browser();
    await before.get(await throughGithub(before));
    github.account.login = "hexacat";
    const after = browser();
    await after.get(await throughGithub(after));
    const [one, two] = await Promise.all(
      [before, after].map(
        async (visitor) => (await visitor.get("/auth/me")).response.json() as Promise<{ id: number }>,
      ),
    );
    expect(one?.id).toBe(two?.id);
    expect(two).toMatchObject({ login: "hexacat" });
  });

  it("leaves the process's own fetch alone", async () => {
    const visitor = browser();
    const [, page] = await Promise.all([
      throughGithub(visitor).then((path) => visitor.get(path)),
      fetch(`${github.url}/api/v3/user`).then((response) => response.status),
    ]);
    expect(page).toBe(401);
  });

  it("says where it is not configured", async () => {
    const plain = await startApi();
    const response = await plain.app.request("/auth/github");
    expect(response.headers.get("location")).toBe(`${frontendUrl}/login?error=not_configured`);
    expect(await problemOf(await plain.call("POST", "/auth/github", { code: "x" }))).toMatchObject({ status: 404 });
  });

  describe("by POST /auth/github", () => {
    it("gives a session for a code", async () => {
      const response = await api.call("POST", "/auth/github", { code: github.newCode() });
      expect(response.status).toBe(200);
      expect(response.headers.get("set-cookie")).toMatch(/^devex_session=.*HttpOnly; SameSite=Lax/);
      expect(await response.json()).toMatchObject({ user: { login: "octocat" }, token: expect.any(String) as string });
    });

    it("takes a code once", async () => {
      const code = github.newCode();
      expect((await api.call("POST", "/auth/github", { code })).status).toBe(200);
      const { status, detail } = await problemOf(await api.call("POST", "/auth/github", { code }));
      expect([status, detail]).toEqual([401, expect.stringContaining("bad_verification_code")]);
    });

    it("passes on the redirect's address and verifier", async () => {
      const codeVerifier = "v".repeat(43);
      const challenge = createHash("sha256").update(codeVerifier).digest("base64url");
      const redirectUri = "http://front.example/back";
      const send = (body: object) => api.call("POST", "/auth/github", body);
      const code = () => github.newCode(redirectUri, challenge);
      expect((await send({ code: code(), redirectUri, codeVerifier })).status).toBe(200);
      expect((await send({ code: code(), redirectUri })).status).toBe(401);
      expect((await send({ code: code(), redirectUri: "http://other.example/", codeVerifier })).status).toBe(401);
    });

    it("answers 503 with Retry-After while GitHub is away", async () => {
      github.trouble("/user", 502, 503);
      const response = await api.call("POST", "/auth/github", { code: github.newCode() });
      expect(response.headers.get("retry-after")).toBe("5");
      expect(await problemOf(response)).toMatchObject({ status: 503 });
    });

    it.each([
      [{}, "code"],
      [{ code: "" }, "code"],
      [{ code: "x", codeVerifier: "short" }, "codeVerifier"],
      [{ code: "x", redirectUri: "javascript:alert(1)" }, "redirectUri"],
    ])("refuses %j, naming %s", async (body, field) => {
      const { status, detail } = await problemOf(await api.call("POST", "/auth/github", body));
      expect(status).toBe(400);
      expect(detail).toContain(`${field}: `);
    });

    it("takes no form of a foreign page", async () => {
      const response = await api.call("POST", "/auth/github", `{"code":"x"}`, { "content-type": "text/plain" });
      expect(await problemOf(response)).toMatchObject({ status: 400, detail: "Content-Type: send application/json" });
    });
  });
});
