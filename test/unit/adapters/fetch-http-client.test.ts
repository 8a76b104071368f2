import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { createFetchHttpClient } from "../../../adapters/fetch-http-client.ts";
import { bunBinary } from "../../../tools/bun.ts";
import { addressOfNobody, serve, serveNobody } from "../../setup/http-servers.ts";

/** `npm test` runs these on Node and on Bun. */
describe("the client for HTTP by fetch", () => {
  const get = (path: string) => ({ method: "GET", path, headers: {} });

  it("sends what it is given, and brings the whole answer", async () => {
    const url = await serve((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { method, url: path, headers } = request;
        response.setHeader("etag", '"x"');
        response.end(JSON.stringify({ method, path, headers, body: Buffer.concat(parts).toString() }));
      });
    });
    const bytes = Buffer.from("not these: öl, nor these");
    const answer = await createFetchHttpClient(url)({
      method: "PUT",
      path: "/a%2Fb%20/%25%2B?c=d",
      headers: { "content-length": "3", authorization: "signed" },
      body: bytes.subarray(11, 14),
    });
    expect([answer.status, answer.header("etag"), answer.header("x-amz-version-id")]).toEqual([200, '"x"', undefined]);
    expect(JSON.parse(await answer.text())).toMatchObject({
      method: "PUT",
      path: "/a%2Fb%20/%25%2B?c=d",
      headers: { "content-length": "3", authorization: "signed", "accept-encoding": "identity" },
      body: "öl",
    });
  });

  it("takes an answer as it is: of any status, redirects too, and without a body", async () => {
    const url = await serve(({ url: path, method }, response) => {
      if (path === "/moved") response.writeHead(307, { location: "/elsewhere" }).end();
      else response.writeHead(method === "HEAD" ? 404 : 503).end("not now");
    });
    const ask = createFetchHttpClient(url);
    const moved = await ask(get("/moved"));
    expect([moved.status, moved.header("location")]).toEqual([307, "/elsewhere"]);
    await moved.dump();
    const head = await ask({ ...get("/x"), method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([404, ""]);
    const parts: Uint8Array[] = [];
    for await (const part of (await ask(get("/x"))).body) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe("not now");
  });

  it("keeps its connections", async () => {
    const sockets = new Set<unknown>();
    const url = await serve(({ socket }, response) => {
      sockets.add(socket);
      response.end("answered");
    });
    const ask = createFetchHttpClient(url);
    for (let at = 0; at < 10; at++) await (await ask(get(`/${at}`))).dump();
    expect(sockets.size).toBeLessThan(3);
  });

  it("fails when nobody listens, and when the server breaks off", async () => {
    await expect(createFetchHttpClient(await addressOfNobody())(get("/"))).rejects.toThrow();

    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("the first half");
      setTimeout(() => response.destroy(), 20);
    });
    const ask = createFetchHttpClient(url);
    await expect(ask(get("/")).then((answer) => answer.text())).rejects.toThrow();
    await expect(ask(get("/")).then((answer) => answer.dump())).rejects.toThrow();
    const read = async () => {
      for await (const part of (await ask(get("/"))).body) expect(part.byteLength).toBe(14);
    };
    await expect(read()).rejects.toThrow();
  });

  it("waits for who thinks for long, as long as it can be reached", async () => {
    const url = await serve((_, response) => void setTimeout(() => response.end("thought"), 300));
    const ask = createFetchHttpClient(url, { doubtMs: 20, connectMs: 100 });
    const answers = await Promise.all([get("/1"), get("/2")].map(ask));
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(["thought", "thought"]);
  });

  it("gives up connecting to a server that accepts nobody any more", async () => {
    const url = await serveNobody();
    const ask = createFetchHttpClient(url, { doubtMs: 20, connectMs: 50 });
    await vi.waitFor(() => expect(ask(get("/"))).rejects.toThrow("no connection within 0.05 s"));
  });

  it("gives up a server that says nothing for as long as Bun is told to wait", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/silent-in-the-middle") response.writeHead(200, { "content-length": "9" }).write("half");
    });
    const client = fileURLToPath(new URL("../../../adapters/fetch-http-client.ts", import.meta.url));
    const program = `import { createFetchHttpClient } from "${client}";
      const ask = createFetchHttpClient(new URL("${url.href}"));
      const get = async (path) => (await ask({ method: "GET", path, headers: {} })).text();
      const outcomes = await Promise.allSettled(["/silent", "/silent-in-the-middle"].map(get));
      console.log(outcomes.map(({ reason }) => reason?.message ?? "an answer").join("\\n"));`;
    const env = { ...process.env, BUN_CONFIG_HTTP_IDLE_TIMEOUT: "1" };
    const { stdout } = await promisify(execFile)(bunBinary(), ["-e", program], { env });
    expect(stdout.trim().split("\n")).toEqual(["The operation timed out.", "The operation timed out."]);
  });
});
