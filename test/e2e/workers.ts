import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import { livingWorkers } from "../setup/living-workers.ts";
import { operator } from "./cluster.ts";
import "../setup/stack-variables.ts";

/** The workers of the end-to-end tests, which tests kill, replace and upgrade. Those that live are ended when all tests are over. */

const workerMain = fileURLToPath(new URL("../../worker/main.ts", import.meta.url));

/** Starts one more, of the release that is current unless another is named. */
export async function startWorker(buildId?: string): Promise<ChildProcess> {
  const release = buildId ?? (await operator().currentRelease());
  const { environment, list } = inject("worker");
  const worker = spawn(process.execPath, [workerMain], {
    env: { ...environment, BUILD_ID: release },
    stdio: "ignore",
    detached: true,
  });
  worker.unref();
  appendFileSync(list, `${worker.pid}\n`);
  return worker;
}

/** Process ids of all that live. */
export const workers = (): number[] => livingWorkers(inject("worker").list);
