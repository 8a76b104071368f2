import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Our own programs as children of another one: npm start, the tests, the benches. */

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Starts a program, named by its path here; of what it says only its errors are shown, unless `stdio` says otherwise.
 * It ends with us, also when we end too soon: a worker that is left takes others' work.
 */
export function startProgram(
  main: string,
  env: Readonly<Record<string, string | undefined>>,
  stdio: StdioOptions = ["ignore", "ignore", "inherit"],
): ChildProcess {
  const program = spawn(process.execPath, [main], { cwd: root, env, stdio });
  process.once("exit", () => program.kill("SIGKILL"));
  return program;
}

/** Tells them to end, and resolves when all have. */
export async function endPrograms(programs: readonly ChildProcess[]): Promise<void> {
  for (const program of programs) program.kill("SIGTERM");
  await Promise.all(programs.map(untilEnded));
}

/** Resolves when a child has ended, also when that was before. */
export async function untilEnded(program: ChildProcess): Promise<void> {
  if (program.exitCode === null && program.signalCode === null) await once(program, "exit");
}
