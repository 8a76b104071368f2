import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { bunBinary } from "./bun.ts";
import { runVitest, succeeds, type TestReport } from "./run-vitest.ts";
import { takeDown } from "./stack/down.ts";
import { installPackages, packagesOfMissing } from "./stack/packages.ts";
import { readOrCreateSettings, readSettings } from "./stack/settings.ts";
import { bringUp } from "./stack/up.ts";
import { prepareTestServer } from "./test-server.ts";

/** `npm test`: every check and every test, on a stack of its own that is gone at the end, whatever happens. */

const stackName = process.env["DEVEX_TEST_STACK"] ?? "test";
const reports = mkdtempSync(join(tmpdir(), "devex-test-"));
const environment = { ...process.env, DEVEX_STACK: stackName };
const print = (line: string) => console.log(line);
let isInterrupted = false;

interface Outcome {
  passed: number;
  readonly failures: string[];
}

async function main(): Promise<Outcome> {
  const outcome: Outcome = { passed: 0, failures: [] };

  print("── format, lint, types, dead code");
  const check = [join(import.meta.dirname, "check.ts"), "--without-tests"];
  if (await succeeds(process.execPath, check, environment)) outcome.passed++;
  else outcome.failures.push("npm run check");
  print("── what tests need: Temporal's test server, a browser, a database, and the stack (the first time builds it)");
  await prepareTestServer();
  await installPackages(await packagesOfMissing(programs));
  const leftover = readSettings(stackName);
  if (leftover) await takeDown(leftover);
  const stack = readOrCreateSettings(stackName);
  try {
    await bringUp(stack, print);
    for (const project of ["unit", "workflows", "contract", "bun", "e2e"]) {
      if (isInterrupted) break;
      print(`── ${project} tests`);
      const report = join(reports, `${project}.json`);
      const runtime = project === "bun" ? bunBinary() : process.execPath;
      const ok = await runVitest(["--project", project], report, environment, runtime);
      const { passed, failures } = readReport(report);
      outcome.passed += passed;
      outcome.failures.push(...failures);
      if (!ok && failures.length === 0)
        outcome.failures.push(`${project}: ended badly without a failing test; see "Unhandled Errors" above`);
    }
  } finally {
    print("── taking the stack down");
    await takeDown(stack);
  }
  return outcome;
}

/** What only tests call, and the Debian package of each. All before they begin: apt waits for no other apt. */
const programs = { chromium: "chromium", promtool: "prometheus", pg_ctlcluster: "postgresql" };

function readReport(file: string): Outcome {
  try {
    const { numPassedTests, testResults } = JSON.parse(readFileSync(file, "utf8")) as TestReport;
    const failures = testResults.flatMap(({ name, status, message = "", assertionResults }) => {
      const failed = assertionResults.filter((test) => test.status === "failed");
      // A file that could not be run has no tests to blame.
      if (failed.length === 0 && status === "failed") return [`${relative(".", name)}: ${firstLine(message)}`];
      return failed.map(
        ({ fullName, failureMessages }) =>
          `${relative(".", name)}: ${fullName.trim()}: ${firstLine(failureMessages?.[0] ?? "")}`,
      );
    });
    return { passed: numPassedTests, failures };
  } catch {
    return { passed: 0, failures: [] };
  }
}

const firstLine = (text: string) => stripVTControlCharacters(text).split("\n")[0] ?? "";

// Children of the same terminal get the signal too and end; what runs here goes on to its clean-up.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (isInterrupted = true));

const { passed, failures } = await main().catch((error: unknown): Outcome => ({
  passed: 0,
  failures: [error instanceof Error ? error.message : String(error)],
}));
rmSync(reports, { recursive: true, force: true });
process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;
for (const failure of failures) print(`✗ ${failure}`);
print(`${passed} passed, ${failures.length} failed`);
