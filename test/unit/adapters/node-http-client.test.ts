import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { createNodeHttpClient } from "../../../adapters/node-http-client.ts";
import { addressOfNobody, serve, serveNobody } from "../../setup/http-servers.ts";

describe("the client for HTTP by Node", () => {
  const get = (path: string) => ({ method: "GET", path, headers: { host: "store.example" } });

  it("sends what it is given and nothing of its own choice, and brings the whole answer", async () => {
    const url = await serve((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { method, url: path, headers } = request;
        response.setHeader("etag", '"x"');
        response.end(JSON.stringify({ method, path, headers, body: Buffer.concat(parts).toString() }));
      });
    });
    const answer = await createNodeHttpClient(
      url,
      1,
    )({
      method: "PUT",
      path: "/a%2Fb?c=d",
      headers: { Host: "store.example", "content-length": "3", authorization: "signed" },
      body: Buffer.from("öl"),
    });
    expect([answer.status, answer.header("etag"), answer.header("x-amz-version-id")]).toEqual([200, '"x"', undefined]);
    expect(JSON.parse(await answer.text())).toEqual({
      method: "PUT",
      path: "/a%2Fb?c=d",
      headers: { host: "store.example", "content-length": "3", authorization: "signed", connection: "keep-alive" },
      body: "öl",
    });
  });

  it("sends the others of the same turn when one of them cannot be sent", async () => {
    const ask = createNodeHttpClient(await serve((_, response) => response.end("answered")), 3);
    const [first, broken, last] = await Promise.allSettled([
      ask(get("/1")),
      ask({ ...get("/2"), headers: { "not a name": "x" } }),
      ask(get("/3")),
    ]);
    expect(broken).toMatchObject({ status: "rejected", reason: { code: "ERR_INVALID_HTTP_TOKEN" } });
    for (const sent of [first, last]) {
      if (sent?.status !== "fulfilled") throw new Error("not sent");
      expect(await sent.value.text()).toBe("answered");
    }
  });

  it("keeps its connections, and has no more of them than it may", async () => {
    const sockets = new Set<unknown>();
    const url = await serve(({ socket }, response) => {
      sockets.add(socket);
      response.end("answered");
    });
    const ask = createNodeHttpClient(url, 2);
    const texts = await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const answer = await ask(get(`/${at}`));
        return at % 2 ? answer.dump() : answer.text();
      }),
    );
    expect(texts.filter((text) => text === "answered")).toHaveLength(5);
    expect(sockets.size).toBe(2);
  });

  it("fails when nobody listens, when the server says nothing, and when it breaks off", async () => {
    const patience = { connectMs: 1000, silenceMs: 50 };
    await expect(createNodeHttpClient(await addressOfNobody(), 1)(get("/"))).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });

    const url = await serve((request, response) => {
      if (request.url === "/silent") return;
      response.writeHead(200, { "content-length": "100" });
      response.write("the first half");
      if (request.url === "/broken-off") setTimeout(() => response.destroy(), 20);
    });
    const ask = createNodeHttpClient(url, 8, patience);
    await expect(ask(get("/silent"))).rejects.toThrow("silent for 0.05 s");
    for (const path of ["/broken-off", "/silent-in-the-middle"]) {
      await expect(ask(get(path)).then((answer) => answer.text())).rejects.toThrow(/aborted|Premature close|silent/);
      await expect(ask(get(path)).then((answer) => answer.dump())).rejects.toThrow(/aborted|Premature close|silent/);
    }
  });

  it("is not silent for as long as anything comes", async () => {
    const url = await serve((_, response) => {
      let left = 8;
      const timer = setInterval(() => {
        response.write("x");
        if (--left > 0) return;
        clearInterval(timer);
        response.end();
      }, 20);
    });
    const answer = await createNodeHttpClient(url, 1, { connectMs: 1000, silenceMs: 100 })(get("/slowly"));
    expect(await answer.text()).toBe("xxxxxxxx");
  });

  it("gives up connecting to a server that accepts nobody any more", async () => {
    const ask = createNodeHttpClient(await serveNobody(), 1, { connectMs: 50, silenceMs: 60_000 });
    await vi.waitFor(() => expect(ask(get("/"))).rejects.toThrow("no connection within 0.05 s"));
  });

  it("speaks TLS where the address says so", async () => {
    // Without a certificate it can agree with nobody.
    const secure = createTlsServer({}, (_, response) => response.end("in plain")).listen(0, "127.0.0.1");
    await once(secure, "listening");
    const ask = createNodeHttpClient(new URL(`https://127.0.0.1:${(secure.address() as AddressInfo).port}`), 1);
    await expect(ask(get("/"))).rejects.toThrow(/handshake/i);
    secure.close();
  });
});
