import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { signIn, type Person } from "../tools/api-client.ts";
import { freePort } from "../tools/free-port.ts";
import { responds } from "../tools/responds.ts";

/** Programs that a bench runs for itself, and ends. */

const root = fileURLToPath(new URL("..", import.meta.url));

export function startProgram(program: string, env: Record<string, string | undefined>): ChildProcess {
  const started = spawn(process.execPath, [program], { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] });
  // A worker that outlives its bench would take the work of the next one.
  process.once("exit", () => started.kill("SIGKILL"));
  return started;
}

/** Waits until somebody answers there with success. */
export async function answers(url: string): Promise<void> {
  while (!(await responds(url))) await delay(100);
}

export async function endPrograms(programs: readonly ChildProcess[]): Promise<void> {
  for (const program of programs) program.kill("SIGTERM");
  await Promise.all(programs.map(async (program) => (program.exitCode === null ? once(program, "exit") : undefined)));
}

/** Runs an API and a worker for as long as somebody signed in works with them. */
export async function withPerson(
  environment: Readonly<Record<string, string>>,
  work: (api: Person, url: string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const env = { ...process.env, ...environment, RATE_LIMIT_PER_USER: "100000", PORT: String(port) };
  const programs = [startProgram("api/main.ts", env), startProgram("worker/main.ts", env)];
  try {
    await answers(`http://127.0.0.1:${port}/readyz`);
    // The name that browsers' rooms admit.
    const url = `http://localhost:${port}`;
    await work(await signIn(url, `bench-${Date.now()}`), url);
  } finally {
    await endPrograms(programs);
  }
}
