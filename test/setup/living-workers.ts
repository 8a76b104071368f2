import { readFileSync } from "node:fs";

/** Of the process ids in a list of workers, a line each, those that still run. */
export function livingWorkers(list: string): number[] {
  return readFileSync(list, "utf8").split("\n").filter(Boolean).map(Number).filter(isLivingWorker);
}

/** By what it runs, because the system gives the id of a process that has ended to another one some time. */
export function isLivingWorker(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("worker/main.ts");
  } catch {
    return false;
  }
}
