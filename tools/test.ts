import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runVitest, succeeds } from "./run-vitest.ts";
import { commandExists } from "./stack/commands.ts";
import { takeDown } from "./stack/down.ts";
import { installPackages } from "./stack/packages.ts";
import { readOrCreateSettings, readSettings } from "./stack/settings.ts";
import { bringUp } from "./stack/up.ts";
import { prepareTestServer } from "./test-server.ts";

/** `npm test`: every check and every test, on a stack of its own that is gone at the end, whatever happens. */

const stackName = process.env["DEVEX_TEST_STACK"] ?? "test";
const reports = mkdtempSync(join(tmpdir(), "devex-test-"));
const environment = { ...process.env, DEVEX_STACK: stackName };
const print = (line: string) => console.log(line);
let isInterrupted = false;

interface Totals {
  passed: number;
  failed: number;
}

async function main(): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0 };
  const count = (name: string, ok: boolean) => {
    if (!ok) print(`✗ ${name}`);
    totals[ok ? "passed" : "failed"]++;
  };

  print("── format, lint, types, dead code");
  count(
    "npm run check",
    await succeeds(process.execPath, [join(import.meta.dirname, "check.ts"), "--without-tests"], environment),
  );
  print("── what tests need: Temporal's test server, a browser, and the stack (the first time builds it)");
  await prepareTestServer();
  await prepareBrowser();
  const leftover = readSettings(stackName);
  if (leftover) await takeDown(leftover);
  const stack = readOrCreateSettings(stackName);
  try {
    await bringUp(stack, print);
    for (const project of ["unit", "workflows", "contract", "e2e"]) {
      if (isInterrupted) break;
      print(`── ${project} tests`);
      const report = join(reports, `${project}.json`);
      const ok = await runVitest(["--project", project], report, environment);
      const counted = readReport(report);
      totals.passed += counted.passed;
      totals.failed += counted.failed;
      if (!ok && counted.failed === 0) count(`${project} tests ended badly without a failing test`, false);
    }
  } finally {
    print("── taking the stack down");
    await takeDown(stack);
  }
  return totals;
}

/** Debian's Chromium, for the tests that a browser must pass. */
async function prepareBrowser(): Promise<void> {
  if (!(await commandExists("chromium"))) await installPackages(["chromium"]);
}

function readReport(file: string): Totals {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(file, "utf8")) as {
      numPassedTests: number;
      numFailedTests: number;
    };
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

// Children of the same terminal get the signal too and end; what runs here goes on to its clean-up.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (isInterrupted = true));

const totals = await main().catch((error: unknown): Totals => {
  console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
  return { passed: 0, failed: 1 };
});
rmSync(reports, { recursive: true, force: true });
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
print(`${totals.passed} passed, ${totals.failed} failed`);
