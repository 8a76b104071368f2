import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { loadConfig } from "../../config/config.ts";
import { livingWorkers } from "./living-workers.ts";
import { startProgram } from "./program.ts";
import { messageOf } from "../../domain/errors.ts";
import type { ReplFacts } from "../../domain/invariants.ts";
import { audit } from "../../tools/audit.ts";
import { responds } from "../../tools/responds.ts";
import { freePort } from "../../tools/free-port.ts";
import { apiAddresses, stackEnvironment } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { loadedImages } from "../../tools/stack/up.ts";

const startTimeoutMs = 60_000;
/** Nothing is on its way any more when the last test has ended. */
const auditGraceSeconds = 1;
/** Contract tests leave records of their own in the bucket. */
const isOfTests = ({ record, broken }: ReplFacts) => record?.owner.login.startsWith("t-") ?? !broken;

/** Runs API and worker as `npm start` does, on a port of their own, with quotas that tests can work under. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  const port = await freePort();
  const environment = {
    ...process.env,
    ...stackEnvironment(stack, loadedImages(stack)),
    ...apiAddresses(stack, port),
    MAX_ACTIVE_PER_USER: "3",
    // All people of the tests come from one address.
    RATE_LIMIT_PER_ADDRESS: "100000",
    RATE_LIMIT_PER_USER: "100000",
  };
  // What contract tests have noted there; all of it may vanish at any moment.
  const redis = connectToRedis(loadConfig(environment).REDIS_URL);
  await redis.flushall();
  redis.disconnect();
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
    try {
      const found = await audit(environment, auditGraceSeconds, isOfTests);
      if (found.length > 0) throw new Error(found.join("\n"));
    } catch (error) {
      // Vitest only prints what a teardown throws.
      console.error(`✗ After the tests not every invariant holds:\n${messageOf(error)}`);
      process.exitCode = 1;
    } finally {
      // The second time means at once.
      for (const pid of [...livingWorkers(list), ...livingWorkers(list)]) process.kill(pid, "SIGTERM");
      for (const program of programs) program.kill("SIGTERM");
      await Promise.all(
        programs.map(async (program) => (program.exitCode === null ? once(program, "exit") : undefined)),
      );
    }
  };
}
