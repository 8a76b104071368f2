import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { responds } from "../tools/responds.ts";

/** Programs that a bench runs for itself, and ends. */

const root = fileURLToPath(new URL("..", import.meta.url));

export function startProgram(program: string, env: Record<string, string | undefined>): ChildProcess {
  return spawn(process.execPath, [program], { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] });
}

/** Waits until somebody answers there with success. */
export async function answers(url: string): Promise<void> {
  while (!(await responds(url))) await delay(100);
}

export async function endPrograms(programs: readonly ChildProcess[]): Promise<void> {
  for (const program of programs) program.kill("SIGTERM");
  await Promise.all(programs.map(async (program) => (program.exitCode === null ? once(program, "exit") : undefined)));
}
