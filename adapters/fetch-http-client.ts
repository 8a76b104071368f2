import type { HttpAnswer, HttpClient } from "./http-client.ts";

/** A request without an answer for so long makes us ask whether the server can be reached at all, and how long that may take. */
const standardPatience = { doubtMs: 3000, connectMs: 10_000 };

/**
 * By the runtime's own fetch: that of Bun, which ends what is silent for as long as BUN_CONFIG_HTTP_IDLE_TIMEOUT says
 * (sync/Dockerfile). How many requests there are at once is the caller's affair.
 */
export function createFetchHttpClient(server: URL, { doubtMs, connectMs } = standardPatience): HttpClient {
  const requireConnection = connectionTest(server, connectMs);
  return async ({ method, path, headers, body }) => {
    const waiting = new AbortController();
    let hasAnswer = false;
    const doubt = setTimeout(() => {
      requireConnection().catch((reason: Error) => {
        if (!hasAnswer) waiting.abort(reason);
      });
    }, doubtMs);
    try {
      const answer = await fetch(server.origin + path, {
        method,
        // Nothing is compressed that was not stored so.
        headers: { ...headers, "accept-encoding": "identity" },
        body: (body ?? null) as Uint8Array<ArrayBuffer> | string | null,
        redirect: "manual",
        signal: waiting.signal,
      });
      return answerOf(answer);
    } finally {
      hasAnswer = true;
      clearTimeout(doubt);
    }
  };
}

/**
 * Fetch waits for a connection for as long as the system does, more than two minutes. So whoever waits for an answer
 * asks this: it throws when no connection can be had. One test at a time is enough for all.
 */
function connectionTest({ protocol, hostname, port }: URL, connectMs: number): () => Promise<void> {
  let running: Promise<void> | undefined;
  const test = async () => {
    // It is rarely needed, and loading it takes longer than a request.
    const { connect } = process.getBuiltinModule("node:net");
    const host = hostname.replace(/^\[|\]$/g, "");
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host, port: Number(port) || (protocol === "https:" ? 443 : 80), timeout: connectMs });
      socket.once("timeout", () => socket.destroy(new Error(`no connection within ${connectMs / 1000} s`)));
      socket.once("connect", () => socket.destroy());
      socket.once("error", reject);
      socket.once("close", () => resolve());
    });
  };
  return () => (running ??= test().finally(() => (running = undefined)));
}

function answerOf(answer: Response): HttpAnswer {
  return {
    status: answer.status,
    header: (name) => answer.headers.get(name) ?? undefined,
    body: answer.body ?? nothing(),
    text: () => answer.text(),
    dump: async () => void (await answer.arrayBuffer()),
  };
}

async function* nothing(): AsyncIterable<Uint8Array> {}
