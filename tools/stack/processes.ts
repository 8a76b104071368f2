import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cleanEnvironment } from "./commands.ts";
import type { StackSettings } from "./settings.ts";

/** A server of the stack. It outlives the program that started it. */
export interface Server {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
}

interface ProcessRecord {
  readonly pid: number;
  /** In clock ticks since boot: a recycled pid never passes for ours. */
  readonly startTime: string;
}

/** Starts a server unless it runs already. Its output goes to `logs/<name>.log`. */
export function startServer(stack: StackSettings, server: Server): void {
  if (isRunning(stack, server.name)) return;
  mkdirSync(join(stack.folder, "pids"), { recursive: true });
  mkdirSync(join(stack.folder, "logs"), { recursive: true });
  const log = openSync(logFile(stack, server.name), "a");
  const child = spawn(server.command, server.args, {
    detached: true,
    cwd: stack.folder,
    env: cleanEnvironment(server.env),
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.on("error", () => {});
  child.unref();
  if (child.pid === undefined) throw new Error(`cannot start ${server.command}`);
  const record: ProcessRecord = { pid: child.pid, startTime: startTimeOf(child.pid) ?? "" };
  writeFileSync(pidFile(stack, server.name), JSON.stringify(record));
}

export function isRunning(stack: StackSettings, name: string): boolean {
  const record = readRecord(stack, name);
  return record !== undefined && startTimeOf(record.pid) === record.startTime;
}

/** Asks a server to stop and kills it when it has not within the grace time. */
export async function stopServer(stack: StackSettings, name: string, graceSeconds = 8): Promise<void> {
  const record = readRecord(stack, name);
  if (record && isRunning(stack, name)) {
    process.kill(record.pid, "SIGTERM");
    const deadline = Date.now() + graceSeconds * 1000;
    while (isRunning(stack, name) && Date.now() < deadline) await delay(50);
    if (isRunning(stack, name)) process.kill(record.pid, "SIGKILL");
  }
  rmSync(pidFile(stack, name), { force: true });
}

/** Throws when the server does not run. */
export function readServerPid(stack: StackSettings, name: string): number {
  const record = readRecord(stack, name);
  if (!record || !isRunning(stack, name)) throw new Error(`${name} does not run`);
  return record.pid;
}

export function listServers(stack: StackSettings): string[] {
  try {
    return readdirSync(join(stack.folder, "pids")).map((file) => file.replace(/\.json$/, ""));
  } catch {
    return [];
  }
}

/**
 * Waits until `check` holds (a throw counts as not yet). Fails at once with the end of its log when the
 * named server has died, and with what was awaited when the time is over.
 */
export async function waitUntil(
  stack: StackSettings,
  what: string,
  check: () => Promise<boolean>,
  options: { server?: string; timeoutSeconds?: number } = {},
): Promise<void> {
  const timeoutSeconds = options.timeoutSeconds ?? 60;
  const deadline = Date.now() + timeoutSeconds * 1000;
  let reason = "";
  while (Date.now() < deadline) {
    try {
      if (await check()) return;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (options.server && !isRunning(stack, options.server)) {
      throw new Error(
        `${options.server} has died; the end of ${logFile(stack, options.server)}:\n${tailLog(stack, options.server, 12)}`,
      );
    }
    await delay(100);
  }
  throw new Error(`${what} did not come within ${timeoutSeconds} s${reason ? `: ${reason}` : ""}`);
}

export function tailLog(stack: StackSettings, name: string, lines: number): string {
  try {
    return readFileSync(logFile(stack, name), "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "(no log)";
  }
}

export function logFile(stack: StackSettings, name: string): string {
  return join(stack.folder, "logs", `${name}.log`);
}

function pidFile(stack: StackSettings, name: string): string {
  return join(stack.folder, "pids", `${name}.json`);
}

function readRecord(stack: StackSettings, name: string): ProcessRecord | undefined {
  try {
    return JSON.parse(readFileSync(pidFile(stack, name), "utf8")) as ProcessRecord;
  } catch {
    return undefined;
  }
}

function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
