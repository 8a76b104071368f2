import type { ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram as start } from "../../tools/programs.ts";

/** Runs one of our programs as `npm start` does; its log goes to the temporary folder. */
export function startProgram(name: string, env: Record<string, string | undefined>): ChildProcess {
  const program = start(`${name}/main.ts`, env, ["ignore", "pipe", "pipe"]);
  const log = createWriteStream(join(tmpdir(), `devex-e2e-${name}.log`));
  program.stdout?.pipe(log);
  program.stderr?.pipe(log);
  return program;
}
