import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, vi } from "vitest";
import { accepts } from "../../tools/accepts.ts";
import { freePort } from "../../tools/free-port.ts";
import { isRunning, readServerPid } from "../../tools/stack/processes.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { stack, stop } from "./cluster.ts";

/** What stands where the object store was, at its address. */

const patience = { timeout: 30_000, interval: 100 };

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const errorOf = (code: string, message: string) => `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;

/** As a gateway without a route to the store answers. */
export const pageNotFound: Answer = { status: 404, type: "text/plain", body: "404 page not found\n" };
/** As a store whose disk is not mounted answers. */
export const noSuchBucket: Answer = {
  status: 404,
  type: "application/xml",
  body: errorOf("NoSuchBucket", "The specified bucket does not exist"),
};
const overloaded: Answer = {
  status: 503,
  type: "application/xml",
  body: errorOf("SlowDown", "Please reduce your request rate."),
};

/** Has something else answer in the object store's place, until `end` is called. `asked` are the paths it was asked for. */
export async function answerInPlaceOfS3({ status, type, body }: Answer) {
  const endpoint = new URL(stackVariable("S3_ENDPOINT"));
  const start = stop("s3");
  while (isRunning(stack(), "s3")) await delay(10);
  const asked: string[] = [];
  const server = createHttpServer((request, response) => {
    asked.push(decodeURIComponent(new URL(request.url ?? "", endpoint).pathname));
    request.resume();
    response.writeHead(status, { "content-type": type, ...(status === 503 ? { "retry-after": "1" } : {}) });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  // The killed server's address is free a moment after it is gone.
  await vi.waitFor(() => once(server.listen(Number(endpoint.port)), "listening"), patience);
  return {
    asked: asked as readonly string[],
    async end(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await start();
    },
  };
}

/** Has the object store answer 503 to everything, as one that is overloaded does, until the returned function is called. */
export const overloadS3 = async (): Promise<() => Promise<void>> => (await answerInPlaceOfS3(overloaded)).end;

/**
 * Moves the object store behind a proxy that cuts connections of pods, so many times, each after so many bytes of
 * answers, until `end` is called. What does not come from a pod passes.
 */
export async function cutBodies({ times, afterBytes }: { readonly times: number; readonly afterBytes: number }) {
  const { hostname, port } = new URL(stackVariable("S3_ENDPOINT"));
  const pid = readServerPid(stack(), "s3");
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0").filter(Boolean);
  const [[command = "", ...args], environment] = [read("cmdline"), read("environ")];
  const hiddenPort = await freePort();
  const start = stop("s3");
  while (isRunning(stack(), "s3")) await delay(10);
  const hidden = spawn(
    command,
    args.map((argument) => (argument === `${hostname}:${port}` ? `127.0.0.1:${hiddenPort}` : argument)),
    { stdio: "ignore", env: Object.fromEntries(environment.map((line) => line.split(/=(.*)/s, 2))) },
  );
  let cuts = 0;
  const open = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(hiddenPort, "127.0.0.1");
    const end = () => [client, upstream].forEach((socket) => socket.destroy());
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", end).on("close", () => {
        open.delete(socket);
        end();
      });
    }
    const isOfPod = client.remoteAddress !== hostname;
    let answered = 0;
    client.on("data", (chunk) => upstream.write(chunk));
    upstream.on("data", (chunk) => {
      answered += chunk.length;
      if (isOfPod && answered >= afterBytes && cuts < times) {
        cuts++;
        end();
      } else client.write(chunk);
    });
  });
  await vi.waitFor(async () => expect(await accepts("127.0.0.1", hiddenPort)).toBe(true), patience);
  await vi.waitFor(() => once(proxy.listen(Number(port), hostname), "listening"), patience);
  return {
    cuts: () => cuts,
    async end(): Promise<void> {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
      hidden.kill("SIGKILL");
      if (hidden.exitCode === null && hidden.signalCode === null) await once(hidden, "exit");
      await start();
    },
  };
}
