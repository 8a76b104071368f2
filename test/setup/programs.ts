import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { stackEnvironment } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { loadedImages } from "../../tools/stack/up.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const startTimeoutMs = 60_000;

/** Runs API and worker as `npm start` does, on a port of their own, with quotas that tests can work under. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  const port = await freePort();
  const environment = {
    ...process.env,
    ...stackEnvironment(stack, loadedImages(stack)),
    PORT: String(port),
    MAX_ACTIVE_PER_USER: "3",
  };
  const programs = ["worker", "api"].map((name) => start(name, environment));
  const apiUrl = `http://localhost:${port}`;
  const deadline = Date.now() + startTimeoutMs;
  while (!(await isReady(apiUrl))) {
    if (Date.now() > deadline || programs.some((program) => program.exitCode !== null))
      throw new Error(`API or worker did not start; see ${tmpdir()}/devex-e2e-*.log`);
    await delay(100);
  }
  project.provide("apiUrl", apiUrl);
  return async () => {
    for (const program of programs) program.kill("SIGTERM");
    await Promise.all(programs.map(async (program) => (program.exitCode === null ? once(program, "exit") : undefined)));
  };
}

function start(name: string, env: Record<string, string | undefined>): ChildProcess {
  const program = spawn(process.execPath, [join(root, name, "main.ts")], { env, stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(tmpdir(), `devex-e2e-${name}.log`));
  program.stdout?.pipe(log);
  program.stderr?.pipe(log);
  return program;
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (typeof address !== "object" || !address) throw new Error("no free port");
  return address.port;
}
