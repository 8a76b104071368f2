import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));

/** Runs a program in this terminal; true when it ended well. */
export function succeeds(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"], env });
    child.on("close", (code) => resolve(code === 0));
  });
}

/** What is read of Vitest's JSON report. */
export interface TestReport {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly fullName: string;
      readonly status: string;
      readonly duration?: number;
      readonly failureMessages?: readonly string[];
      readonly meta?: { readonly recoverySeconds?: number };
    }[];
  }[];
}

/** Runs tests, shows them here and writes Vitest's JSON report to a file; true when all passed. */
export function runVitest(
  chosen: readonly string[],
  report: string,
  env: Readonly<Record<string, string | undefined>>,
  runtime: string = process.execPath,
): Promise<boolean> {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return succeeds(runtime, [vitest, "run", ...chosen, ...reporters], env);
}
