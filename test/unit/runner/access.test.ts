import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { createTickets } from "../../../api/tickets.ts";
import { url, ticket, tickets, programPort, socketStatus } from "./running-runner.ts";

describe("the runner: access", () => {
  it("takes a ticket that is signed with two secrets while one replaces the other", async () => {
    const secrets = ["the next secret, which this runner does not know", "a secret for tests that is long enough"];
    const twice = await (await createTickets(secrets, 60)).issue("repl-x", "7");
    expect(await socketStatus(`api/v1/repl/ws?ticket=${twice}`)).toBe(101);
    expect(await socketStatus("api/v1/repl/ws", { cookie: `devex_repl=${twice}` })).toBe(101);
  });

  it("needs a ticket of ours for this REPL and its owner", async () => {
    const others = await createTickets(["another secret that is long enough too"], 60);
    const expired = await createTickets(["a secret for tests that is long enough"], -60);
    const bad = [
      "",
      "x",
      await tickets.issue("repl-y", "7"),
      await tickets.issue("repl-x", "8"),
      await others.issue("repl-x", "7"),
      await expired.issue("repl-x", "7"),
    ];
    for (const token of bad) {
      expect((await fetch(`${url}?ticket=${token}`, { redirect: "manual" })).status).toBe(401);
      expect(await socketStatus(`api/v1/repl/ws?ticket=${token}`)).toBe(401);
      expect(await socketStatus("api/v1/repl/ws", { cookie: `devex_repl=${token}` })).toBe(401);
      expect(
        (await fetch(`${url}user-app/${programPort}/`, { headers: { cookie: `devex_repl=${token}` } })).status,
      ).toBe(401);
      expect(await socketStatus(`user-app/${programPort}/`, { cookie: `devex_repl=${token}` })).toBe(401);
    }
    expect(await socketStatus("api/v1/repl/ws", { cookie: `a=b; devex_repl=${ticket}` })).toBe(101);
  });

  it("refuses sockets from foreign pages", async () => {
    expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`, { origin: "http://evil.example" })).toBe(403);
    expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`, { origin: "http://front.example" })).toBe(101);
  });

  it("exchanges the ticket for a cookie and takes it out of the address", async () => {
    const response = await fetch(`${url}user-app/${programPort}/x?a=1&ticket=${ticket}`, { redirect: "manual" });
    expect(response.status).toBe(302);
    expect(response.headers.get("location")).toBe(`/repl-x/user-app/${programPort}/x?a=1`);
    expect(response.headers.get("set-cookie")).toBe(`devex_repl=${ticket}; Path=/repl-x/; HttpOnly; SameSite=Lax`);
  });

  it("tells what people do to whoever is in the same pod, and to nobody else", async () => {
    const answer = await fetch(`${url.replace("localhost", "127.0.0.1")}activity`);
    const { connections, lastActivityAt } = (await answer.json()) as { connections: number; lastActivityAt: string };
    expect(connections).toBeGreaterThan(0);
    expect(Date.parse(lastActivityAt)).toBeGreaterThan(Date.now() - 60_000);
    const other = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal);
    if (!other) throw new Error("this machine has no address but its own");
    expect((await fetch(`${url.replace("localhost", other.address)}activity`)).status).toBe(404);
  });

  it("answers ping to anyone, and nothing outside its base path", async () => {
    const pong = await fetch(`${url}ping`);
    expect(await pong.json()).toBe("pong");
    expect(pong.headers.get("devex-session")).toBe("session-x");
    expect((await fetch(new URL("/repl-other/ping", url))).status).toBe(404);
    expect((await fetch(new URL("/", url))).status).toBe(404);
  });
});
