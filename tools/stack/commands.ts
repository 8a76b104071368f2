import { spawn } from "node:child_process";

/** Programs get these variables and no others: proxies and certificate settings of a shell confuse servers. */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const path = process.env["PATH"] ?? "";
  return { ...Object.fromEntries(kept), PATH: `${path}:/usr/local/sbin:/usr/sbin:/sbin`, ...extra };
}

interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string | undefined>;
  readonly input?: string;
}

/** Runs a program to its end and returns its standard output. Rejects with the last lines it wrote when it fails. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? cleanEnvironment(), stdio: "pipe" });
    let output = "";
    let all = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      all += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => (all += chunk.toString()));
    child.on("error", (error) => reject(new Error(`cannot run ${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${command} ${args.slice(0, 3).join(" ")} ended with ${signal ?? code}:\n${all.trim().split("\n").slice(-15).join("\n")}`,
          ),
        );
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Like {@link run}, for clean-up: a failure is no news. */
export async function runQuietly(command: string, args: readonly string[]): Promise<string> {
  return run(command, args).catch(() => "");
}

export async function commandExists(command: string): Promise<boolean> {
  return (await runQuietly("sh", ["-c", `command -v ${command}`])) !== "";
}
