import { setTimeout as delay } from "node:timers/promises";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { HeldRepl, SavePointer } from "../domain/ports.ts";
import type { ReplId, SavedRepl } from "../domain/repl.ts";
import { request } from "./request.ts";

export interface ApiSavePointerOptions {
  readonly apiUrl: string;
  /** The session's own token; it speaks for this session alone. */
  readonly token: string;
}

type Answer = Awaited<ReturnType<typeof request>>;

/** Long enough for an API that is being replaced; whoever waits longer is tried again as a whole. */
const pausesMs = [100, 500, 2000, 4000];

/** The pointer of a registry that no pod reaches, by way of the API. */
export function createApiSavePointer({ apiUrl, token }: ApiSavePointerOptions): SavePointer {
  async function askOnce(method: string, url: string, body?: object) {
    const answer = await request(url, method, { token, body: body && JSON.stringify(body) }).catch((error: unknown) => {
      throw new ReplError("unavailable", `The API does not answer: ${messageOf(error)}`, { cause: error });
    });
    if (answer.status < 300) return answer;
    throw problemFrom(answer.status, answer.body);
  }

  async function ask<T>(method: string, replId: ReplId, what: string, read: (answer: Answer) => T, body?: object) {
    const url = `${apiUrl.replace(/\/+$/, "")}/api/runner/${replId}/${what}`;
    for (const pause of pausesMs) {
      try {
        return read(await askOnce(method, url, body));
      } catch (error) {
        if (!(error instanceof ReplError && error.code === "unavailable")) throw error;
        await delay(pause);
      }
    }
    return read(await askOnce(method, url, body));
  }

  return {
    async read({ session, pod }) {
      const query = pod === undefined ? "" : `?pod=${encodeURIComponent(pod)}`;
      return ask("GET", session.replId, `save${query}`, savedIn);
    },
    claim: (session, pod) => ask("POST", session.replId, "restore", savedIn, { pod }),
    claimWhenFree: (session, pod) => ask("POST", session.replId, "restore", replIn, { pod, whenFree: true }),
    async filled({ session, pod }) {
      await ask("POST", session.replId, "filled", requireDone, { pod });
    },
    async release({ session, pod }, notSaved) {
      await ask("POST", session.replId, "release", requireDone, { pod, notSaved });
    },
    async move({ session, pod }, parent, { generation, version }) {
      await ask("PUT", session.replId, "save", requireDone, { pod, parent, generation, version });
    },
  };
}

/** A problem as the API tells it. Whatever is none of ours is a server on the way that is not well. */
function problemFrom(status: number, body: string): ReplError {
  const { type, detail } = parsed(body) ?? {};
  if (!type?.startsWith("urn:devex:problem:") || detail === undefined) return somebodyElse(status);
  const codes = { 400: "invalid", 401: "unauthorized", 404: "not_found", 409: "conflict" } as const;
  return new ReplError(codes[status as keyof typeof codes] ?? "unavailable", detail);
}

/** What the API answers to a question. */
function replIn({ status, body }: Answer): SavedRepl | HeldRepl {
  const repl = parsed(body);
  if (!repl || !("id" in repl || "heldBy" in repl)) throw somebodyElse(status);
  return repl as object as SavedRepl | HeldRepl;
}

function savedIn(answer: Answer): SavedRepl {
  const repl = replIn(answer);
  if ("id" in repl) return repl;
  throw somebodyElse(answer.status);
}

/** What it answers to an order. */
function requireDone({ status }: Answer): void {
  if (status !== 204) throw somebodyElse(status);
}

function somebodyElse(status: number): ReplError {
  return new ReplError("unavailable", `Status ${status} comes from something in the API's place.`);
}

function parsed(body: string): { readonly type?: string; readonly detail?: string } | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
