import { SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import { startApi } from "../../fakes/api.ts";
import { problemOf } from "./problem-of.ts";

const secret = "a secret for tests that is long enough";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

afterEach(() => {
  vi.useRealTimers();
});

describe("a session", () => {
  it("ends for good by a logout, also when Redis is flushed or is a new one", async () => {
    const { person, flush } = await startApi();
    const { as } = await person("alice");
    const other = await person("alice");
    const response = await as("POST", "/auth/logout");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ message: "Signed out." });
    expect(response.headers.get("set-cookie")).toMatch(/^devex_session=; Max-Age=0; Path=\/; HttpOnly/);
    for (const round of ["remembered", "flushed", "remembered again"]) {
      if (round === "flushed") flush();
      for (const [method, path] of [
        ["GET", "/auth/me"],
        ["GET", "/api/repl"],
        ["GET", "/api/repl/repl-x"],
        ["POST", "/api/repl/session/repl-x"],
        ["POST", "/auth/logout"],
      ] as const)
        expect(await problemOf(await as(method, path)), `${round}: ${method} ${path}`).toMatchObject({
          status: 401,
          detail: "Sign in again: this session was ended by a logout.",
        });
      expect(await (await as("GET", "/auth/status")).json()).toEqual({
        authenticated: false,
        sign_in: ["development"],
      });
    }
    expect((await other.as("GET", "/auth/me")).status).toBe(200);
  });

  it("is still checked while Redis is away, and nobody gets in while nothing can tell", async () => {
    const { stores } = await startApi();
    const away = async () => {
      throw new ReplError("unavailable", "away");
    };
    stores.tokens.cache.get = away;
    stores.tokens.cache.note = away;
    const { person } = await startApi({ stores });
    const [gone, stays] = [await person("alice"), await person("alice")];
    await gone.as("POST", "/auth/logout");
    expect((await gone.as("GET", "/auth/me")).status).toBe(401);
    expect((await stays.as("GET", "/auth/me")).status).toBe(200);
    stores.store.getText = away;
    const response = await stays.as("GET", "/auth/me");
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await problemOf(response)).toMatchObject({ status: 503 });
  });

  it("outlives the replacement of the secret, until the old one is taken away", async () => {
    const old = "the old secret, which is long enough too";
    const before = await startApi({ secrets: [old] });
    const { token } = await before.person("alice");
    const during = await startApi({ secrets: [secret, old], stores: before.stores });
    expect((await during.call("GET", "/auth/me", undefined, bearer(token))).status).toBe(200);
    const { token: renewed } = await during.person("alice");
    const after = await startApi({ secrets: [secret], stores: before.stores });
    expect((await after.call("GET", "/auth/me", undefined, bearer(token))).status).toBe(401);
    expect((await after.call("GET", "/auth/me", undefined, bearer(renewed))).status).toBe(200);
  });

  it("is over after seven days, also for a process that has seen it before", async () => {
    const { person } = await startApi();
    const { as } = await person("alice");
    expect((await as("GET", "/auth/me")).status).toBe(200);
    vi.useFakeTimers({ now: Date.now() + 7 * 24 * 3600 * 1000 + 1000, toFake: ["Date"] });
    expect((await as("GET", "/auth/me")).status).toBe(401);
  });

  it("is nothing that somebody else can make", async () => {
    const { call, person } = await startApi();
    const { token } = await person("alice");
    const [head = "", body = "", signature = ""] = token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
    const header = JSON.parse(Buffer.from(head, "base64url").toString()) as { kid: string };
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const sign = (changes: object, key = secret, alg = "HS256", kid = header.kid) =>
      new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg, kid }).sign(new TextEncoder().encode(key));
    const bad = [
      `${encode({ alg: "none" })}.${body}.`,
      `${encode({ alg: "none", kid: header.kid })}.${body}.${signature}`,
      `${head}.${encode({ ...claims, sub: "1" })}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      await sign({}, "another secret that is long enough as well"),
      await sign({}, secret, "HS512"),
      await sign({}, secret, "HS256", "unknown"),
      await sign({ exp: 1 }),
      await sign({ aud: "another" }),
      await sign({ iss: "another" }),
      await sign({ sub: undefined }),
      await sign({ jti: undefined }),
      await sign({ user: undefined }),
      await sign({ exp: undefined }),
      "x".repeat(10_000),
    ];
    for (const forged of bad) {
      expect((await call("GET", "/api/repl", undefined, bearer(forged))).status, forged.slice(0, 200)).toBe(401);
      expect((await call("GET", "/api/repl", undefined, { cookie: `devex_session=${forged}` })).status).toBe(401);
    }
    expect((await call("GET", "/api/repl", undefined, bearer(await sign({})))).status).toBe(200);
  });

  it("is ended only by a page of ours", async () => {
    const { app, person } = await startApi();
    const { token } = await person("alice");
    const logout = (headers: Record<string, string>) =>
      app.request("/auth/logout", { method: "POST", headers: { cookie: `devex_session=${token}`, ...headers } });
    expect((await logout({ origin: "http://evil.example" })).status).toBe(403);
    expect((await logout({ "content-type": "text/plain" })).status).toBe(403);
    expect((await logout({ origin: "http://front.example" })).status).toBe(200);
  });
});

describe("the development login", () => {
  it("takes no form of a foreign page, which could sign somebody in as somebody else", async () => {
    const { call } = await startApi();
    const response = await call("POST", "/auth/dev", `{"login":"mallory"}`, { "content-type": "text/plain" });
    expect(await problemOf(response)).toMatchObject({ status: 400, detail: "Content-Type: send application/json" });
  });
});

describe("the rate limits", () => {
  it("let one user ask so often, and say when to come back", async () => {
    const { person } = await startApi({ perUser: 3 });
    const [alice, bob] = [await person("alice"), await person("bob")];
    for (let request = 0; request < 3; request++) expect((await alice.as("GET", "/api/repl")).status).toBe(200);
    const refused = await alice.as("GET", "/api/repl");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await problemOf(refused)).toMatchObject({
      status: 429,
      detail: expect.stringContaining("at most 3") as string,
    });
    expect((await bob.as("GET", "/api/repl")).status).toBe(200);
  });

  it("let one address try so often without a session, and leave signed-in people there alone", async () => {
    const { call, person } = await startApi({ perAddress: 4 });
    const { as } = await person("alice");
    const tries = [
      call("GET", "/api/repl"),
      call("GET", "/api/repl", undefined, bearer("guess")),
      call("POST", "/api/runner/repl-x/heartbeat", { connections: 1, lastActivityAt: new Date().toISOString() }),
    ];
    for (const attempt of tries) expect((await attempt).status).toBe(401);
    for (const attempt of [
      call("POST", "/auth/dev", { login: "bob" }),
      call("GET", "/api/repl"),
      call("GET", "/auth/github"),
    ]) {
      const response = await attempt;
      expect(response.status).toBe(429);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect((await as("GET", "/api/repl")).status).toBe(200);
    expect((await call("GET", "/api/templates")).status).toBe(200);
  });
});
