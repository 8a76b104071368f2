import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Programs may write their last words in this time. */
const graceMs = 1000;
const pauseMs = 10;

/** Anywhere else than in its own container the runner would count and end processes that are not the REPL's. */
const isOwnContainer = process.argv.includes("--own-container") && process.ppid === 1;

/** Those of the container except its init and this one. None where the container is not our own. */
export function countPrograms(): { readonly programs: number; readonly threads: number } {
  if (!isOwnContainer) return { programs: 0, threads: 0 };
  const all = programs();
  return { programs: all.length, threads: all.reduce((sum, id) => sum + threadsOf(fieldsOf(id)), 0) };
}

/** Ends every other process of this container, politely and then not. Returns how many had to be killed. */
export async function endPrograms(): Promise<number> {
  if (!isOwnContainer) return 0;
  const tell = (signal: NodeJS.Signals) => {
    try {
      process.kill(-1, signal);
    } catch {
      // Nobody was left to hear it.
    }
  };
  // A shell that somebody types into ignores the second, a server often the first.
  tell("SIGHUP");
  tell("SIGTERM");
  for (const over = Date.now() + graceMs; livingPrograms() > 0 && Date.now() < over;) await delay(pauseMs);
  const killed = livingPrograms();
  // One that is stopped hears nothing else; one that forks all the time cannot outrun it.
  while (livingPrograms() > 0) {
    tell("SIGKILL");
    await delay(pauseMs);
  }
  return killed;
}

/** All but this process and those that have ended and wait to be noticed. */
function livingPrograms(): number {
  return programs().filter(isAlive).length;
}

function programs(): string[] {
  const ours = new Set(["1", String(process.pid)]);
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !ours.has(name));
}

function isAlive(processId: string): boolean {
  return !["Z", "X"].includes(fieldsOf(processId)[0] ?? "X");
}

/** By proc(5): the number of threads is 17 fields after the state. */
const threadsOf = (fields: readonly string[]): number => Number(fields[17] ?? 0);

/** What /proc says of a process, from its state on; nothing when it has ended. */
function fieldsOf(processId: string): string[] {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, "utf8");
    // The name before the state may hold anything, also ")".
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
