import type { RequestListener } from "node:http";
import { describe, expect, it } from "vitest";
import { probeAccessPath } from "../../../adapters/access-path.ts";
import { serve } from "../../setup/http-servers.ts";

describe("probeAccessPath", () => {
  const answering = async (listener: RequestListener) => new URL("/repl-x/ping", await serve(listener)).href;
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
    expect(await probe("http://127.0.0.1:1/repl-x/ping")).toBe(false);
  });

  it("throws when it is no longer asked for", async () => {
    await expect(probeAccessPath("http://127.0.0.1:1/", "session-2", AbortSignal.abort())).rejects.toThrow();
  });
});
