import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { probeAccessPath } from "../../../adapters/access-path.ts";

describe("probeAccessPath", () => {
  let close = () => {};
  afterEach(() => close());

  async function answering(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    close = () => server.close();
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/repl-x/ping`;
  }
  const probe = (url: string) => probeAccessPath(url, "session-2", new AbortController().signal);
  const pong = (session: string) =>
    answering((_, response) => response.writeHead(200, { "devex-session": session }).end('"pong"'));

  it("is true when the runner of the session answers", async () => {
    expect(await probe(await pong("session-2"))).toBe(true);
  });

  it("is false while the way still leads to the session before", async () => {
    expect(await probe(await pong("session-1"))).toBe(false);
  });

  it("is false for a page of something on the way, and where nobody listens", async () => {
    const url = await answering((_, response) => response.writeHead(200).end("Not yet"));
    expect(await probe(url)).toBe(false);
    close();
    expect(await probe("http://127.0.0.1:1/repl-x/ping")).toBe(false);
  });

  it("throws when it is no longer asked for", async () => {
    await expect(probeAccessPath("http://127.0.0.1:1/", "session-2", AbortSignal.abort())).rejects.toThrow();
  });
});
