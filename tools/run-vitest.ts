import { spawn } from "node:child_process";

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

/** Runs tests, shows them here and writes Vitest's JSON report to a file; true when all passed. */
export function runVitest(
  chosen: readonly string[],
  report: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return succeeds("npx", ["--no-install", "vitest", "run", ...chosen, ...reporters], env);
}
