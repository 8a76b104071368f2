import { setTimeout as delay } from "node:timers/promises";
import { basePathOf, runnerPort } from "../domain/naming.ts";
import type { ReplId } from "../domain/repl.ts";
import type { SaveStatus } from "../domain/save.ts";
import { request } from "./request.ts";

export interface ReportOptions {
  readonly apiUrl: string;
  readonly replId: ReplId;
  /** The session's own token for this. It lies in no container that runs programs of the user's. */
  readonly token: string;
  /** Where the runner beside us listens; its usual port unless a test says otherwise. */
  readonly runnerUrl?: string;
  readonly status: () => SaveStatus;
}

const everyMs = 10_000;
/** A close waits for a checkpoint to end. */
const lastWordsMs = 1000;

/**
 * Tells the API that this session lives, what people do in it (the runner beside us says) and how much of it is saved:
 * at once, every ten seconds while a save takes that long, and by `finish` when there is news since. Nothing depends on
 * it here: while the API or the runner is away, the next one is tried.
 */
export function startReporting({ apiUrl, replId, token, runnerUrl, status }: ReportOptions) {
  const runner = `${runnerUrl ?? `http://127.0.0.1:${runnerPort}`}${basePathOf(replId)}/activity`;
  const api = `${apiUrl.replace(/\/+$/, "")}/api/runner/${replId}/heartbeat`;
  let told = "";

  async function tell(): Promise<void> {
    const save = status();
    told = JSON.stringify(save);
    try {
      const activity = JSON.parse((await request(runner, "GET")).body) as object;
      const body = JSON.stringify({ ...activity, ...(Object.keys(save).length > 0 ? { save } : {}) });
      await request(api, "POST", { token, body });
    } catch {
      // The next one comes soon.
    }
  }

  let telling = tell();
  const timer = setInterval(() => void (telling = tell()), everyMs);
  return {
    async finish(): Promise<void> {
      clearInterval(timer);
      const lastWords = telling.then(() => (JSON.stringify(status()) === told ? undefined : tell()));
      await Promise.race([lastWords, delay(lastWordsMs)]);
    },
  };
}
