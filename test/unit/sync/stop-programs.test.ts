import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { runnerHasEnded, stopPrograms } from "../../../sync/stop-programs.ts";

async function listening(answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe("the end of a REPL's programs, as the save container knows it", () => {
  it("is what the runner answers, and why not where it refuses", async () => {
    const asked: (string | undefined)[] = [];
    const port = await listening(({ method, url }, response) => {
      asked.push(`${method} ${url}`);
      response.writeHead(asked.length === 1 ? 503 : 200).end("still at work");
    });
    expect(await stopPrograms("repl-x", port)).toBe("the runner answered 503: still at work");
    expect(await stopPrograms("repl-x", port)).toBeUndefined();
    expect(asked).toEqual(["POST /repl-x/stop", "POST /repl-x/stop"]);
  });

  it("is certain where nobody listens any more, and unknown where somebody listens and breaks off", async () => {
    const port = await listening((request) => void request.socket.destroy());
    expect(await stopPrograms("repl-x", port)).toMatch(/^the runner does not answer/);
    expect(await runnerHasEnded(150, port)).toBe(false);
    expect(await stopPrograms("repl-x", 1)).toBeUndefined();
    expect(await runnerHasEnded(0, 1)).toBe(true);
  });
});
