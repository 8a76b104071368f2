import { readFileSync } from "node:fs";

/** Of the process ids in a list of workers, a line each, those that still run (and are not merely unburied). */
export function livingWorkers(list: string): number[] {
  return readFileSync(list, "utf8").split("\n").filter(Boolean).map(Number).filter(isLiving);
}

export function isLiving(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
