import { setTimeout as delay } from "node:timers/promises";
import { signIn, type Person } from "../tools/api-client.ts";
import { freePort } from "../tools/free-port.ts";
import { endPrograms, startProgram } from "../tools/programs.ts";
import { responds } from "../tools/responds.ts";

/** Waits until somebody answers there with success. */
export async function answers(url: string): Promise<void> {
  while (!(await responds(url))) await delay(100);
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
