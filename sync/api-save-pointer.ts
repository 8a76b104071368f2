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

/** Long enough for an API that is being replaced; whoever waits longer is tried again as a whole. */
const pausesMs = [100, 500, 2000, 4000];

/** The pointer of a registry that no pod reaches, by way of the API. */
export function createApiSavePointer({ apiUrl, token }: ApiSavePointerOptions): SavePointer {
  async function askOnce(method: string, url: string, body?: object): Promise<string> {
    const answer = await request(url, method, { token, body: body && JSON.stringify(body) }).catch((error: unknown) => {
      throw new ReplError("unavailable", `The API does not answer: ${messageOf(error)}`, { cause: error });
    });
    if (answer.status < 300) return answer.body;
    throw problemFrom(answer.status, answer.body);
  }

  async function ask(method: string, replId: ReplId, what: string, body?: object): Promise<string> {
    const url = `${apiUrl.replace(/\/+$/, "")}/api/runner/${replId}/${what}`;
    for (const pause of pausesMs) {
      try {
        return await askOnce(method, url, body);
      } catch (error) {
        if (!(error instanceof ReplError && error.code === "unavailable")) throw error;
        await delay(pause);
      }
    }
    return askOnce(method, url, body);
  }

  return {
    async read({ session, pod }) {
      const query = pod === undefined ? "" : `?pod=${encodeURIComponent(pod)}`;
      return JSON.parse(await ask("GET", session.replId, `save${query}`)) as SavedRepl;
    },
    claim: async (session, pod) => JSON.parse(await ask("POST", session.replId, "restore", { pod })) as SavedRepl,
    claimWhenFree: async (session, pod) =>
      JSON.parse(await ask("POST", session.replId, "restore", { pod, whenFree: true })) as SavedRepl | HeldRepl,
    async release({ session, pod }) {
      await ask("POST", session.replId, "release", { pod });
    },
    async move({ session, pod }, parent, { generation, version }) {
      await ask("PUT", session.replId, "save", { pod, parent, generation, version });
    },
  };
}

/** A problem as the API tells it. Whatever is none of ours is a server on the way that is not well. */
function problemFrom(status: number, body: string): ReplError {
  const codes = { 400: "invalid", 401: "unauthorized", 404: "not_found", 409: "conflict" } as const;
  const code = codes[status as keyof typeof codes] ?? "unavailable";
  return new ReplError(code, detailOf(body) ?? `The API answers ${status}.`);
}

function detailOf(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { detail?: string }).detail;
  } catch {
    return undefined;
  }
}
