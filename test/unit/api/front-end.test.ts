import { describe, expect, it } from "vitest";
import { frontendUrl, startApi } from "../../fakes/api.ts";

/** The calls of the front end that exists, as its browser sends them: cookie, Origin, and a Content-Type on every GET. */
async function openFrontEnd() {
  const api = await startApi();
  let cookie = "";
  async function send(method: string, path: string, body?: object) {
    const response = await api.call(method, path, body, { origin: frontendUrl, ...(cookie ? { cookie } : {}) });
    const session = response.headers.getSetCookie().find((line) => line.startsWith("devex_session="));
    if (session) cookie = session.split(";")[0] ?? "";
    expect(response.headers.get("access-control-allow-origin"), path).toBe(frontendUrl);
    expect(response.headers.get("access-control-allow-credentials"), path).toBe("true");
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  return { ...api, send };
}

describe("the existing front end", () => {
  it.each([
    ["/api/repl", "GET", "content-type"],
    ["/api/repl/new", "POST", "content-type"],
    ["/api/repl/session/repl-x", "GET", "content-type"],
    ["/api/repl/session/repl-x", "DELETE", "content-type"],
    ["/auth/me", "GET", "content-type"],
  ])("may ask %s by %s", async (path, method, headers) => {
    const { app } = await startApi();
    const response = await app.request(path, {
      method: "OPTIONS",
      headers: {
        origin: frontendUrl,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe(frontendUrl);
    expect(response.headers.get("access-control-allow-credentials")).toBe("true");
    expect(response.headers.get("access-control-allow-methods")).toContain(method);
    expect(response.headers.get("access-control-allow-headers")?.toLowerCase()).toContain(headers);
  });

  it("is sent to GitHub by both addresses of the login", async () => {
    const { app } = await startApi();
    for (const path of ["/auth/github", "/auth/github/login", "/auth/github/"])
      expect((await app.request(path)).status).toBe(302);
  });

  it("plays a whole session", async () => {
    const { send } = await openFrontEnd();
    expect((await send("GET", "/auth/status")).body).toEqual({ authenticated: false, sign_in: ["development"] });
    expect(await send("GET", "/auth/me")).toMatchObject({ status: 401, body: { error: expect.any(String) as string } });
    await send("POST", "/auth/dev", { login: "alice" });
    expect((await send("GET", "/auth/status")).body).toMatchObject({
      authenticated: true,
      user: { login: "alice" },
      token_expires_at: expect.any(String) as string,
    });
    expect((await send("GET", "/auth/me")).body).toMatchObject({
      id: expect.any(Number) as number,
      login: "alice",
      name: expect.any(String) as string,
      email: expect.any(String) as string,
      avatar_url: expect.any(String) as string,
      created_at: expect.any(String) as string,
    });
    expect((await send("GET", "/api/repl")).body).toEqual([]);
    expect((await send("GET", "/api/templates")).body).toMatchObject([{ name: "node" }]);

    const created = await send("POST", "/api/repl/new", { template: "node", replName: "First", userName: "alice" });
    expect(created).toMatchObject({ status: 201, body: { name: "First", user: "alice", isActive: true } });
    const id = String(created.body["id"]);
    expect((await send("GET", "/api/repl/")).body).toMatchObject([{ id, isActive: true }]);

    const opened = await send("GET", `/api/repl/session/${id}`);
    expect(opened).toMatchObject({
      status: 200,
      body: { replId: id, replName: "First", url: expect.any(String) as string },
    });
    expect(await send("DELETE", `/api/repl/session/${id}`)).toMatchObject({ status: 200, body: { replId: id } });
    expect((await send("GET", "/api/repl")).body).toMatchObject([{ id, isActive: false, status: "stopped" }]);
    expect((await send("DELETE", `/api/repl/${id}`)).status).toBe(200);
    expect((await send("GET", "/api/repl")).body).toEqual([]);

    const failed = await send("POST", "/api/repl/create", { template: "nope", replName: "x", userName: "alice" });
    expect(failed.status).toBe(400);
    expect(failed.body["error"]).toBe(failed.body["detail"]);
    expect((await send("POST", "/auth/logout")).body).toMatchObject({ message: expect.any(String) as string });
    expect((await send("GET", "/auth/me")).status).toBe(401);
  });
});
