import { spawn } from "node:child_process";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const autocannon = fileURLToPath(new URL("../node_modules/autocannon/autocannon.js", import.meta.url));
const warmUpSeconds = 3;
const seconds = 10;

export interface Load {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: number;
}

export interface LoadOptions {
  readonly connections?: number;
  /** Requests a second; as many as go when absent. */
  readonly rate?: number;
  /** This many requests, without a warm-up, in place of some seconds of them. */
  readonly amount?: number;
  /** As `name=value`. */
  readonly header?: string;
}

/** Asks for one address over and over, from another process. */
export async function load(url: string, options: LoadOptions = {}): Promise<Load> {
  const { connections = 32, rate, amount, header } = options;
  if (!amount) await run(["-d", String(warmUpSeconds)]);
  const { requests, latency, non2xx, errors } = await run(
    amount ? ["-a", String(amount)] : ["-d", String(seconds), ...(rate ? ["-R", String(rate)] : [])],
  );
  return {
    requestsPerSecond: Math.round(requests.average),
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    maxMs: latency.max,
    errors: non2xx + errors,
  };

  async function run(more: readonly string[]) {
    const all = [autocannon, "--json", "-c", String(connections), ...more, ...(header ? ["-H", header] : []), url];
    const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "ignore"] });
    return (await json(child.stdout)) as {
      requests: { average: number };
      latency: { p50: number; p99: number; max: number };
      non2xx: number;
      errors: number;
    };
  }
}
