import { readFileSync, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";

export interface HeartbeatOptions {
  readonly apiUrl: string;
  readonly replId: string;
  /** The runner's own token for this one session. */
  readonly token: string;
  /** What the checkpoints beside us know, as JSON. */
  readonly saveStatusFile: string;
  readonly activity: () => { readonly connections: number; readonly lastActivityAt: number };
}

const everyMs = 10_000;
/** News of saves are told at once. */
const lookMs = 500;
const timeoutMs = 5000;

/**
 * Tells the API again and again that this session lives, what people do in it and how much of it is saved. Nothing
 * depends on it here: while the API is away the next one is tried. Returns what ends it.
 */
export function startHeartbeats({ apiUrl, replId, token, saveStatusFile, activity }: HeartbeatOptions): () => void {
  const url = `${apiUrl.replace(/\/+$/, "")}/api/runner/${replId}/heartbeat`;
  let toldAt = 0;
  let toldStatus = "";
  let isTelling = false;

  async function tell(): Promise<void> {
    const status = stampOf(saveStatusFile);
    if (isTelling || (performance.now() - toldAt < everyMs && status === toldStatus && toldAt > 0)) return;
    isTelling = true;
    const { connections, lastActivityAt } = activity();
    const save = readStatus(saveStatusFile);
    const body = { connections, lastActivityAt: new Date(lastActivityAt).toISOString(), ...(save ? { save } : {}) };
    await post(url, token, JSON.stringify(body));
    toldAt = performance.now();
    // Told or not: an API that is away hears of it with the next regular one.
    toldStatus = status;
    isTelling = false;
  }

  const timer = setInterval(() => void tell(), lookMs);
  return () => clearInterval(timer);
}

/** By http itself: Node's fetch takes 13 MB, and there are as many runners as people at work. Never throws. */
function post(url: string, token: string, body: string): Promise<void> {
  return new Promise((resolve) => {
    const send = url.startsWith("https:") ? https.request : http.request;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const request = send(url, { method: "POST", headers, signal: AbortSignal.timeout(timeoutMs) }, (response) =>
      response.resume().once("close", resolve),
    );
    request.once("error", () => resolve());
    request.end(body);
  });
}

function stampOf(file: string): string {
  try {
    return String(statSync(file).mtimeMs);
  } catch {
    return "";
  }
}

function readStatus(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
