import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { loadConfig } from "../../config/config.ts";
import { templatesFolder } from "../../config/templates.ts";
import { livingWorkers } from "./living-workers.ts";
import { startProgram } from "./program.ts";
import { buildPage } from "../../tools/build-page.ts";
import { responds } from "../../tools/responds.ts";
import { freePort } from "../../tools/free-port.ts";
import { endPrograms } from "../../tools/programs.ts";
import { apiAddresses, stackEnvironment } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { loadedImages } from "../../tools/stack/up.ts";

const startTimeoutMs = 60_000;

/** Runs API and worker as `npm start` does, on a port of their own, with quotas that tests can work under. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  const port = await freePort();
  const environment = {
    ...process.env,
    ...stackEnvironment(stack, loadedImages(stack)),
    ...apiAddresses(stack, port),
    TEMPLATES_FOLDER: templatesForTests(),
    MAX_ACTIVE_PER_USER: "3",
    // All people of the tests come from one address.
    RATE_LIMIT_PER_ADDRESS: "100000",
    RATE_LIMIT_PER_USER: "100000",
  };
  // What contract tests have noted there; all of it may vanish at any moment.
  const redis = connectToRedis(loadConfig(environment).REDIS_URL);
  await redis.flushall();
  redis.disconnect();
  await buildPage();
  const programs = ["worker", "api"].map((name) => startProgram(name, environment));
  const apiUrl = `http://localhost:${port}`;
  const deadline = Date.now() + startTimeoutMs;
  while (!(await responds(`${apiUrl}/readyz`))) {
    if (Date.now() > deadline || programs.some((program) => program.exitCode !== null))
      throw new Error(`API or worker did not start; see ${tmpdir()}/devex-e2e-*.log`);
    await delay(100);
  }
  project.provide("apiUrl", apiUrl);
  const list = join(mkdtempSync(join(tmpdir(), "devex-e2e-")), "workers");
  writeFileSync(list, `${programs[0]?.pid}\n`);
  project.provide("worker", { environment, list });
  return async () => {
    rmSync(environment.TEMPLATES_FOLDER, { recursive: true });
    // The second time means at once.
    for (const pid of [...livingWorkers(list), ...livingWorkers(list)]) process.kill(pid, "SIGTERM");
    await endPrograms(programs);
  };
}

/** Those that we ship, one with a disk so small that a test can fill it, one whose image nobody has, and one with ports for many programs. */
function templatesForTests(): string {
  const folder = mkdtempSync(join(tmpdir(), "devex-templates-"));
  cpSync(templatesFolder, folder, { recursive: true });
  const definitions = {
    small: { title: "Small", ports: [], resources: { diskLimit: "32Mi" } },
    broken: { title: "Broken", ports: [], image: "registry.invalid/none:1" },
    frameworks: { title: "Frameworks", ports: [3001, 3002, 3003, 3004, 3005, 3006], resources: { cpuLimit: "2" } },
  };
  for (const [name, definition] of Object.entries(definitions)) {
    mkdirSync(join(folder, name));
    const whole = { description: "For tests.", language: "none", run: "true", ...definition };
    writeFileSync(join(folder, name, "template.json"), JSON.stringify(whole));
    writeFileSync(join(folder, name, "README.md"), `${definition.title}\n`);
  }
  return folder;
}
