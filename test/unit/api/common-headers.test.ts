import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { afterAll, describe, expect, it } from "vitest";
import type { Env } from "../../../api/env.ts";
import { AnswerWithCommonHeaders, commonHeaders } from "../../../api/middleware/common-headers.ts";

const addCommonHeaders = commonHeaders({ isProduction: true });
const app = new Hono<Env>()
  .use((c, next) => {
    addCommonHeaders(c);
    return next();
  })
  .get("/json", (c) => c.json({ requestId: c.get("requestId") }))
  .get("/own", (c) => c.body("own", 200, { "Cache-Control": "public, max-age=60" }))
  .get("/plain", () => new Response("plain", { headers: { "Cache-Control": "public" } }))
  .get("/cookies", (c) => {
    c.header("set-cookie", "a=1", { append: true });
    c.header("set-cookie", "b=2", { append: true });
    return c.body(null, 204);
  })
  .get("/stream", () => new Response(new Blob(["one", "two"]).stream()))
  .get("/fails", () => {
    throw new Error("expected by this test");
  });
app.onError((_error, c) => c.text("failed", 500));

const server = serve({
  fetch: app.fetch,
  hostname: "127.0.0.1",
  port: 0,
  serverOptions: { ServerResponse: AnswerWithCommonHeaders },
});
await once(server, "listening");
afterAll(() => void server.close());

const overSocket = (path: string, headers = {}) =>
  fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { headers });
const inProcess = async (path: string, headers = {}) => app.request(path, { headers });

describe.each([
  ["on a socket", overSocket],
  ["in the process", inProcess],
])("the headers of every answer, %s", (_where, ask) => {
  it.each(["/json", "/own", "/cookies", "/fails", "/nowhere"])("are with %s", (path) => expectThem(path, ask));

  it("give way to the route's own", async () => {
    expect((await ask("/json")).headers.get("cache-control")).toBe("no-store");
    expect((await ask("/own")).headers.get("cache-control")).toBe("public, max-age=60");
  });

  it("leave the body, its type and each cookie as they are", async () => {
    expect((await ask("/json")).headers.get("content-type")).toBe("application/json");
    expect(await (await ask("/stream")).text()).toBe("onetwo");
    expect((await ask("/cookies")).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await ask("/fails")).status).toBe(500);
  });

  it("take a good id of the request from who asks, and no other", async () => {
    const idOf = async (given: string) => (await ask("/json", { "x-request-id": given })).headers.get("x-request-id");
    expect(await idOf("from-the-proxy_1")).toBe("from-the-proxy_1");
    expect(await idOf("with spaces; and=more")).toMatch(/^[\w-]{36}$/);
  });
});

// In the process, Hono adds its headers to no answer that a route has made itself.
describe("the headers of every answer, on a socket", () => {
  it.each(["/plain", "/stream"])("are with %s", (path) => expectThem(path, overSocket));

  it("give way to the route's own, however these are written", async () => {
    expect((await overSocket("/plain")).headers.get("cache-control")).toBe("public");
  });
});

async function expectThem(path: string, ask: typeof inProcess) {
  const { headers } = await ask(path);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
  expect(headers.get("strict-transport-security")).toMatch(/^max-age=/);
  expect(headers.get("x-request-id")).toMatch(/^[\w-]{36}$/);
}
