import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import type { HttpAnswer, HttpClient } from "./http-client.ts";

/** The second is for silence of the server, not for the length of a transfer. */
const standardPatience = { connectMs: 3000, silenceMs: 60_000 };

/** By Node's http, over no more than so many connections at once. What says nothing for a minute is broken off. */
export function createNodeHttpClient(
  { protocol, hostname, port }: URL,
  connections: number,
  { connectMs, silenceMs } = standardPatience,
): HttpClient {
  // What speaks plain HTTP need not load TLS, and Node's fetch comes with an import of either.
  const { Agent, request } = process.getBuiltinModule(protocol === "https:" ? "node:https" : "node:http");
  const agent: Agent = new Agent({ keepAlive: true, maxSockets: connections, timeout: silenceMs });
  const server = { agent, hostname: hostname.replace(/^\[|\]$/g, ""), port };

  const endOfTurn = turns();
  return async ({ method, path, headers, body }) => {
    await endOfTurn();
    return new Promise((resolve, reject) => {
      const options: RequestOptions = { ...server, method, path, headers: Object.entries(headers).flat() };
      const asked = request(options, (answer) => resolve(answerOf(answer)));
      asked.on("error", reject);
      asked.on("timeout", () => asked.destroy(new Error(`silent for ${silenceMs / 1000} s`)));
      giveUpConnecting(asked, connectMs);
      asked.end(body);
    });
  };
}

/**
 * Ends of turns of the event loop, for what goes out together. A request that goes out alone wakes a server that has
 * just gone to sleep, and that costs its sender more than all else of a small one: a tenth of a save of 1,000 files.
 */
function turns(): () => Promise<void> {
  let end: Promise<void> | undefined;
  return () =>
    (end ??= new Promise((resolve) => {
      setImmediate(() => {
        end = undefined;
        resolve();
      });
    }));
}

function giveUpConnecting(asked: ClientRequest, connectMs: number): void {
  asked.once("socket", (socket) => {
    if (!socket.connecting) return;
    const giveUp = () => asked.destroy(new Error(`no connection within ${connectMs / 1000} s`));
    const timer = setTimeout(giveUp, connectMs);
    socket.once("connect", () => clearTimeout(timer));
    socket.once("close", () => clearTimeout(timer));
  });
}

function answerOf(answer: IncomingMessage): HttpAnswer {
  return {
    status: answer.statusCode ?? 0,
    header(name) {
      const value = answer.headers[name];
      return typeof value === "string" ? value : value?.[0];
    },
    body: answer,
    text: () => text(answer),
    dump: () => finished(answer.resume()),
  };
}
