import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, inject, vi } from "vitest";
import { freePort } from "../../tools/free-port.ts";
import { responds } from "../../tools/responds.ts";
import { apiAddresses } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import type { Death } from "../setup/mortal-worker.ts";
import { livingWorkers } from "../setup/living-workers.ts";
import { operator } from "./cluster.ts";
import "../setup/stack-variables.ts";

/** API and workers that tests kill, replace and upgrade. The workers that live are ended when all tests are over. */

const mortality = new URL("../setup/mortal-worker.ts", import.meta.url).href;
const apiMain = fileURLToPath(new URL("../../api/main.ts", import.meta.url));
const workerMain = fileURLToPath(new URL("../../worker/main.ts", import.meta.url));

type Environment = Readonly<Record<string, string | undefined>>;

/** Starts one more, of the release that is current unless another is named; one that kills itself where it is told. */
export async function startWorker(
  buildId?: string,
  killed?: { readonly deaths: readonly Death[]; readonly file: string },
  changes: Environment = {},
): Promise<ChildProcess> {
  const release = buildId ?? (await operator().currentRelease());
  const { environment, list } = inject("worker");
  const [preload, deaths] = killed
    ? [["--import", mortality], { DEVEX_DEATHS: JSON.stringify(killed.deaths), DEVEX_DEATHS_FILE: killed.file }]
    : [[], {}];
  const worker = spawn(process.execPath, [...preload, workerMain], {
    env: { ...environment, ...changes, BUILD_ID: release, ...deaths },
    stdio: "ignore",
    detached: true,
  });
  worker.unref();
  appendFileSync(list, `${worker.pid}\n`);
  return worker;
}

/** Process ids of all that live. */
export const workers = (): number[] => livingWorkers(inject("worker").list);

/** Ends all workers, whatever they are at. */
export async function endWorkers(): Promise<void> {
  for (const pid of workers()) process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(workers()).toEqual([]), { timeout: 30_000, interval: 50 });
}

/** Starts one more API, which answers when this resolves. Whoever starts it ends it. */
export async function startApi(
  changes: Environment = {},
): Promise<{ url: string; program: ChildProcess; environment: Environment }> {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  const port = await freePort();
  const environment = { ...inject("worker").environment, ...apiAddresses(stack, port), ...changes };
  const program = spawn(process.execPath, [apiMain], { env: environment, stdio: "ignore" });
  const url = `http://localhost:${port}`;
  try {
    await vi.waitFor(async () => expect(await responds(`${url}/readyz`)).toBe(true), { timeout: 60_000, interval: 50 });
  } catch (error) {
    program.kill("SIGKILL");
    throw error;
  }
  return { url, program, environment };
}
