import { describe, expect, it } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import type { ReplRecord } from "../../../domain/repl.ts";
import { startApi } from "../../fakes/api.ts";
import { newRecord } from "../../fakes/records.ts";
import { problemOf } from "./problem-of.ts";

describe("signing in for development", () => {
  it("gives a token and a cookie, both good", async () => {
    const { call } = await startApi();
    const response = await call("POST", "/auth/dev/", { login: "Alice" });
    const { token, user, expiresAt } = (await response.json()) as { token: string; user: object; expiresAt: string };
    expect(user).toMatchObject({ login: "alice", name: "Alice", id: expect.any(Number) as number });
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^devex_session=.*HttpOnly; SameSite=Lax/);
    for (const headers of [{ authorization: `Bearer ${token}` }, { cookie: cookie.split(";")[0] ?? "" }]) {
      expect(await (await call("GET", "/auth/status", undefined, headers)).json()).toMatchObject({
        authenticated: true,
        user: { login: "alice" },
      });
      expect((await call("GET", "/auth/me", undefined, headers)).status).toBe(200);
    }
  });
  it("is not there in production", async () => {
    const { call } = await startApi({ isProduction: true });
    expect(await problemOf(await call("POST", "/auth/dev", { login: "alice" }))).toMatchObject({ status: 404 });
  });
  it.each([
    {},
    { login: "" },
    { login: "a/b" },
    { login: "a--b" },
    { login: "-a" },
    { login: "x".repeat(40) },
    { login: 7 },
    [],
    "no json",
    "null",
  ])("refuses %j, naming the field", async (body) => {
    const { call } = await startApi();
    const { status, detail } = await problemOf(await call("POST", "/auth/dev", body));
    expect(status).toBe(400);
    expect(detail).toMatch(/^(login|body): /);
  });
  it.each(["", "x", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", `${"a".repeat(20)}.b.c`])(
    "takes %j for no session",
    async (token) => {
      const { call } = await startApi();
      expect(await (await call("GET", "/auth/status", undefined, { authorization: `Bearer ${token}` })).json()).toEqual(
        { authenticated: false, sign_in: ["development"] },
      );
      expect(
        await problemOf(await call("GET", "/api/repl", undefined, { authorization: `Bearer ${token}` })),
      ).toMatchObject({ status: 401 });
    },
  );
});

describe("REPLs", () => {
  it("are created, listed, read, opened, closed and deleted", async () => {
    const { person, commands } = await startApi();
    const { as } = await person("alice");
    expect(await (await as("GET", "/api/repl/")).json()).toEqual([]);
    const created = await as("POST", "/api/repl/new/", {
      template: "node",
      replName: " My REPL ",
      userName: "mallory",
    });
    expect(created.status).toBe(201);
    const repl = (await created.json()) as { id: string; url: string };
    expect(repl).toMatchObject({
      name: "My REPL",
      user: "alice",
      template: "node",
      isActive: true,
      status: "running",
      url: `http://run/${repl.id}/`,
    });
    expect(created.headers.get("set-cookie")).toContain(`Path=/${repl.id}/`);
    expect(await (await as("GET", `/api/repl/${repl.id}`)).json()).toEqual(repl);

    const open = await as("GET", `/api/repl/session/${repl.id}/`);
    expect(await open.json()).toEqual({
      replId: repl.id,
      replName: "My REPL",
      url: repl.url,
      ticket: expect.stringMatching(/^ey/) as string,
      previews: [{ port: 3000, url: `${repl.url}user-app/3000/` }],
    });
    expect(await (await as("DELETE", `/api/repl/session/${repl.id}`)).json()).toEqual({
      replId: repl.id,
      save: { generation: 3, files: 1, bytes: 2 },
    });
    expect((await as("DELETE", `/api/repl/${repl.id}`)).status).toBe(200);
    expect((await as("GET", `/api/repl/${repl.id}`)).status).toBe(404);
    expect(commands).toEqual(["create", "close", "remove"]);
  });

  it.each([
    [{ name: "x" }, "template"],
    [{ template: "node" }, "name"],
    [{ template: "nope", name: "x" }, "template"],
    [{ template: "node", name: "" }, "name"],
    [{ template: "node", name: "x".repeat(61) }, "name"],
    [{ template: "node", name: "a\nb" }, "name"],
    [{ template: "node", name: 5 }, "name"],
    [{ template: ["node"], name: "x" }, "template"],
    ["{", "body"],
    ["[]", "body"],
    ["null", "body"],
    [`{"template":"node","name":"${"x".repeat(70_000)}"}`, "body"],
  ])("starts nothing for %j and names %s", async (body, field) => {
    const { person, commands } = await startApi();
    const { as } = await person("alice");
    const { status, detail } = await problemOf(await as("POST", "/api/repl/create", body));
    expect(status).toBe(400);
    expect(detail).toMatch(new RegExp(`\\b${field}: `));
    expect(commands).toEqual([]);
  });

  it("does not say whether somebody else's exists", async () => {
    const { person, commands } = await startApi();
    const [alice, bob] = [await person("alice"), await person("bob")];
    const { id } = (await (await alice.as("POST", "/api/repl/create", { template: "node", name: "x" })).json()) as {
      id: string;
    };
    for (const replId of [id, "repl-nothing", "..%2f..%2fetc", "repl-%00"]) {
      for (const [method, path] of [
        ["GET", "/api/repl/"],
        ["POST", "/api/repl/session/"],
        ["DELETE", "/api/repl/session/"],
        ["DELETE", "/api/repl/"],
      ] as const) {
        expect(await problemOf(await bob.as(method, path + replId))).toEqual({
          status: 404,
          detail: "There is no such REPL.",
        });
      }
    }
    expect(commands).toEqual(["create"]);
  });

  it("asks for a session first", async () => {
    const { call, commands } = await startApi();
    for (const [method, path] of [
      ["POST", "/api/repl/create"],
      ["GET", "/api/repl"],
      ["GET", "/api/repl/repl-x"],
      ["DELETE", "/api/repl/session/repl-x"],
    ] as const) {
      expect(await problemOf(await call(method, path, method === "POST" ? {} : undefined))).toMatchObject({
        status: 401,
      });
    }
    expect(commands).toEqual([]);
  });

  it("come back from the registry when the look-ups were flushed", async () => {
    const { person, flush, store } = await startApi();
    const { as, owner } = await person("alice");
    const records: ReplRecord[] = [
      newRecord({ owner, createdAt: "2026-01-01T00:00:01.000Z" }),
      newRecord({ owner, createdAt: "2026-01-01T00:00:02.000Z" }),
    ];
    for (const record of records) await createObjectStoreRecords(store).create(record);
    flush();
    expect((await (await as("GET", `/api/repl/${records[0]?.id}`)).json()) as object).toMatchObject({
      id: records[0]?.id,
      status: "stopped",
    });
    flush();
    expect(((await (await as("GET", "/api/repl")).json()) as { id: string }[]).map(({ id }) => id)).toEqual([
      records[1]?.id,
      records[0]?.id,
    ]);
  });

  it("answers the same again for the same Idempotency-Key", async () => {
    const { person, commands } = await startApi();
    const { as } = await person("alice");
    const create = (name: string, key: string) =>
      as("POST", "/api/repl/create", { template: "node", name }, { "idempotency-key": key });
    const first = await (await create("x", "k1")).json();
    expect(await (await create("x", "k1")).json()).toEqual(first);
    expect(await problemOf(await create("y", "k1"))).toMatchObject({ status: 409 });
    expect(await problemOf(await create("x", "k".repeat(201)))).toMatchObject({ status: 400 });
    expect(commands).toEqual(["create"]);
  });

  it.each([
    ["quota_exceeded", 429, null],
    ["conflict", 409, "2"],
    ["unavailable", 503, "5"],
    ["invalid", 400, null],
  ] as const)("turn %s into %i", async (code, status, retryAfter) => {
    const { person } = await startApi({ failure: new ReplError(code, "the reason") });
    const { as } = await person("alice");
    const response = await as("POST", "/api/repl/create", { template: "node", name: "x" });
    expect(response.headers.get("retry-after")).toBe(retryAfter);
    expect(await problemOf(response)).toEqual({ status, detail: "the reason" });
  });

  it("never shows what is internal", async () => {
    const { person } = await startApi({ failure: new Error("password=hunter2 at /srv/x.ts:1") });
    const { as } = await person("alice");
    const { status, detail } = await problemOf(await as("POST", "/api/repl/create", { template: "node", name: "x" }));
    expect(status).toBe(500);
    expect(detail).not.toContain("hunter2");
  });
});

describe("requests from foreign pages", () => {
  const withCookie = async () => {
    const api = await startApi();
    const { token } = await api.person("alice");
    const send = (method: string, path: string, headers: Record<string, string>) =>
      api.app.request(path, { method, headers: { cookie: `devex_session=${token}`, ...headers } });
    return { ...api, send };
  };
  it.each([
    ["POST", "/api/repl/create"],
    ["DELETE", "/api/repl/repl-x"],
    ["GET", "/api/repl/session/repl-x"],
  ] as const)("cannot %s %s with the cookie", async (method, path) => {
    const { send } = await withCookie();
    expect((await send(method, path, { origin: "http://evil.example" })).status).toBe(403);
    expect(
      (await send(method, path, { origin: "http://evil.example", "content-type": "application/json" })).status,
    ).toBe(403);
    expect((await send(method, path, { "content-type": "text/plain" })).status).toBe(403);
    expect((await send(method, path, { origin: "http://front.example" })).status).not.toBe(403);
    expect((await send(method, path, { "content-type": "application/json" })).status).not.toBe(403);
  });
  it("get CORS headers only for the front end", async () => {
    const { app } = await startApi();
    const preflight = (origin: string) =>
      app.request("/api/repl/create", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
    const answer = await preflight("http://front.example");
    expect(answer.headers.get("access-control-allow-origin")).toBe("http://front.example");
    expect(answer.headers.get("access-control-allow-credentials")).toBe("true");
    expect((await preflight("http://evil.example")).headers.get("access-control-allow-origin")).not.toBe(
      "http://evil.example",
    );
  });
});

describe("health", () => {
  it("says what answers and what does not, within its time", async () => {
    const { app } = await startApi({
      checks: {
        s3: () => new Promise(() => {}),
        redis: async () => {
          throw new ReplError("unavailable", "away");
        },
      },
    });
    const [ping, live, ready] = await Promise.all(
      ["/ping", "/livez", "/readyz"].map(async (path) => app.request(path)),
    );
    expect(await ping?.json()).toEqual({
      api: "ok",
      k8s: "ok",
      s3: "no answer within 2 s",
      redis: "away",
      temporal: "ok",
      version: "1.2.3+test",
    });
    expect([live?.status, ready?.status]).toEqual([200, 503]);
  });
  it("lists templates to anyone, and problems for unknown pages", async () => {
    const { app } = await startApi();
    expect(await (await app.request("/api/templates/")).json()).toEqual([
      {
        name: "node",
        title: "Node.js",
        description: "A server",
        language: "javascript",
        run: "node server.js",
        ports: [3000],
      },
    ]);
    expect(await (await app.request("/api/limits")).json()).toEqual({ repls: 10, active: 2 });
    expect((await problemOf(await app.request("/nowhere"))).status).toBe(404);
  });
});
