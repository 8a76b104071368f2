import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs one of our programs as `npm start` does; its log goes to the temporary folder. */
export function startProgram(name: string, env: Record<string, string | undefined>): ChildProcess {
  const program = spawn(process.execPath, [join(root, name, "main.ts")], { env, stdio: ["ignore", "pipe", "pipe"] });
  // Also when the tests are ended before they are over: a worker that is left would take the next ones' work.
  process.once("exit", () => program.kill("SIGKILL"));
  const log = createWriteStream(join(tmpdir(), `devex-e2e-${name}.log`));
  program.stdout?.pipe(log);
  program.stderr?.pipe(log);
  return program;
}
