import { describe, expect, it } from "vitest";
import WebSocket from "ws";
import { createHttpClient } from "../../../adapters/http-client.ts";
import { url, ticket, programPort, editor } from "./running-runner.ts";

describe("the runner: previews", () => {
  const headers = () => ({ cookie: `mine=1; devex_repl=${ticket}` });
  it("pass requests on, without our cookie", async () => {
    const response = await fetch(`${url}user-app/${programPort}/some/path?q=a%20b`, { headers: headers() });
    expect(await response.text()).toBe("from the program");
    expect(JSON.parse(response.headers.get("x-seen") ?? "")).toEqual({
      url: "/some/path?q=a%20b",
      prefix: `/repl-x/user-app/${programPort}`,
      cookie: "mine=1",
    });
  });
  it("pass sockets on", async () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}user-app/${programPort}/live`, { headers: headers() });
    await new Promise((resolve) => socket.once("open", resolve));
    const answer = new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(data.toString())));
    socket.send("hello");
    expect(await answer).toBe("echo hello");
    socket.close();
  });
  it("keep redirects and cookies of a program inside, also of one that knows nothing of its prefix", async () => {
    const prefix = `/repl-x/user-app/${programPort}`;
    const { host } = new URL(url);
    const ask = (query: Record<string, string>) =>
      fetch(`${url}user-app/${programPort}/?${new URLSearchParams(query).toString()}`, {
        headers: headers(),
        redirect: "manual",
      });
    for (const [location, expected] of [
      ["/login?next=/", `${prefix}/login?next=/`],
      [`${prefix}/login`, `${prefix}/login`],
      [`${prefix}2`, `${prefix}${prefix}2`],
      ["next", "next"],
      [`http://localhost:${programPort}/a#b`, `${prefix}/a#b`],
      [`http://${host}/a`, `${prefix}/a`],
      ["https://elsewhere.example/a", "https://elsewhere.example/a"],
      ["//elsewhere.example/a", "//elsewhere.example/a"],
    ] as const)
      expect((await ask({ redirect: location })).headers.get("location"), location).toBe(expected);
    const cookies = ["a=1", "b=2; Path=/app; HttpOnly", `c=3; path=${prefix}/x`, "d=4; Domain=example.org; Secure"];
    const answer = await ask({ cookie: [...cookies, "devex_repl=stolen; Path=/"].join("|") });
    expect(answer.headers.getSetCookie()).toEqual([
      `a=1; Path=${prefix}/`,
      `b=2; Path=${prefix}/app; HttpOnly`,
      `c=3; Path=${prefix}/x`,
      `d=4; Path=${prefix}/; Secure`,
    ]);
  });
  it("pass on what is sent bit by bit, as it comes", async () => {
    const over = new AbortController();
    const response = await fetch(`${url}user-app/${programPort}/events`, { headers: headers(), signal: over.signal });
    const { value } = (await response.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe("data: first\n\n");
    over.abort();
  });
  it("are for their owner, until a port is shared; then strangers' browsers give the page no origin", async () => {
    const at = `${url}user-app/${programPort}/`;
    expect((await fetch(at)).status).toBe(401);
    expect(await editor.ask("sharePort", { port: programPort, isPublic: true })).toEqual({
      success: true,
      port: programPort,
      isPublic: true,
    });
    const shared = await fetch(at);
    expect(await shared.text()).toBe("from the program");
    expect(shared.headers.get("content-security-policy")).toMatch(/^sandbox (?!.*allow-same-origin)/);
    expect((await fetch(at, { headers: headers() })).headers.get("content-security-policy")).toBeNull();
    expect((await fetch(`${url}user-app/${programPort + 1}/`)).status).toBe(401);
    const socket = new WebSocket(`${at.replace("http", "ws")}live`, { origin: "null" });
    await new Promise((resolve) => socket.once("open", resolve));
    socket.close();
    await editor.ask("sharePort", { port: programPort, isPublic: false });
    expect((await fetch(at)).status).toBe(401);
    await expect(editor.ask("sharePort", { port: 80, isPublic: true })).rejects.toThrow("1024");
  });
  describe("at a host of their own", () => {
    const host = (port = programPort) => `${port}-repl-x.previews.example`;
    const ask = (path: string, given: Record<string, string> = {}, at = host()) =>
      createHttpClient(new URL(url), 1)({ method: "GET", path, headers: { host: at, ...given } });

    it("are the program's from the root on, with redirects and cookies as it makes them", async () => {
      const seen = await ask("/some/path?q=1", headers());
      expect([seen.status, await seen.text()]).toEqual([200, "from the program"]);
      expect(JSON.parse(String(seen.header("x-seen")))).toEqual({ url: "/some/path?q=1", cookie: "mine=1" });
      const redirected = await ask(
        `/?redirect=${encodeURIComponent(`http://localhost:${programPort}/login`)}`,
        headers(),
      );
      expect(redirected.header("location")).toBe("/login");
      const cookie = await ask(
        `/?cookie=${encodeURIComponent("session=1; Path=/deep; Domain=previews.example")}`,
        headers(),
      );
      expect(cookie.header("set-cookie")).toBe("session=1; Path=/deep");
    });

    it("take a ticket for a cookie of this host alone", async () => {
      const answer = await ask(`/page?ticket=${ticket}&a=b`);
      expect([answer.status, answer.header("location")]).toEqual([302, "/page?a=b"]);
      expect(answer.header("set-cookie")).toBe(`devex_repl=${ticket}; Path=/; HttpOnly; SameSite=Lax`);
      const elsewhere = await ask(`//evil.example/?ticket=${ticket}`);
      expect(elsewhere.header("location")).toBe("/evil.example/");
    });

    it("can be framed by a page of another site, whose cookie it then is", async () => {
      const framed = { "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site" };
      const answer = await ask(`/?ticket=${ticket}`, framed);
      const cookie = `devex_repl=${ticket}; Path=/; HttpOnly; SameSite=None; Secure; Partitioned`;
      expect(answer.header("set-cookie")).toBe(cookie);
    });

    it("are for their owner, until the port is shared; a page for strangers keeps its origin", async () => {
      expect((await ask("/")).status).toBe(401);
      expect((await ask("/", { cookie: "devex_repl=wrong" })).status).toBe(401);
      expect((await ask("/", headers(), `${programPort}-repl-y.previews.example`)).status).toBe(404);
      expect((await ask("/", headers(), host(22))).status).toBe(404);
      await editor.ask("sharePort", { port: programPort, isPublic: true });
      const open = await ask("/");
      expect([open.status, open.header("content-security-policy")]).toEqual([200, undefined]);
      await editor.ask("sharePort", { port: programPort, isPublic: false });
      expect((await ask("/")).status).toBe(401);
    });

    it("take sockets from their own pages and not from others'", async () => {
      const status = (origin: string) =>
        new Promise<number>((resolve) => {
          const socket = new WebSocket(new URL("/live", url.replace("http", "ws")), {
            headers: { ...headers(), host: host(), origin },
          });
          socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
          socket.on("open", () => (resolve(101), socket.close()));
          socket.on("error", () => {});
        });
      expect(await status(`http://${host()}`)).toBe(101);
      expect(await status("http://evil.example")).toBe(403);
      expect(await status(`http://${programPort}-repl-y.previews.example`)).toBe(403);
    });
  });

  it("show people a page that waits", async () => {
    const page = await fetch(`${url}user-app/1024/`, { headers: { ...headers(), accept: "text/html,*/*" } });
    expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html; charset=utf-8"]);
    expect(await page.text()).toContain('http-equiv="refresh"');
  });
  it("say so while nothing listens, and go to no port of the system or our own", async () => {
    const response = await fetch(`${url}user-app/9/`, { headers: headers() });
    expect(response.status).toBe(404);
    expect((await fetch(`${url}user-app/${new URL(url).port}/repl-x/ping`, { headers: headers() })).status).toBe(404);
    expect((await fetch(`${url}user-app/99999/`, { headers: headers() })).status).toBe(404);
    const waiting = await fetch(`${url}user-app/1024/`, { headers: headers() });
    expect(waiting.status).toBe(502);
    expect(await waiting.text()).toContain("Nothing answers on port 1024 yet");
  });
});
