import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { freePort } from "../../tools/free-port.ts";
import { untilEnded } from "../../tools/programs.ts";
import { run } from "../../tools/stack/commands.ts";
import { installPackages } from "../../tools/stack/packages.ts";

export interface PostgresServer {
  readonly url: string;
  /** Another empty database there. */
  database(name: string): Promise<string>;
  /** Neither answers nor refuses until `goOn`. */
  hang(): Promise<void>;
  goOn(): Promise<void>;
  stop(): Promise<void>;
}

const serverPath = "/usr/lib/postgresql/*/bin/postgres";
const startTimeoutMs = 30_000;

/** Debian's PostgreSQL with an empty database, for one test file. It does not run as root. */
export async function startPostgres(): Promise<PostgresServer> {
  if (globSync(serverPath).length === 0) await installPackages(["postgresql"]);
  const binary = globSync(serverPath).sort().at(-1);
  if (!binary) throw new Error(`there is no ${serverPath}`);
  const folder = mkdtempSync(join(tmpdir(), "devex-postgres-"));
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot ? await idsOf("postgres") : [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  chownSync(folder, uid, gid);
  const data = join(folder, "data");
  const as = isRoot ? { uid, gid, cwd: folder } : { cwd: folder };
  const initialized = spawn(
    binary.replace(/postgres$/, "initdb"),
    ["--pgdata", data, "--username", "devex", "--auth", "trust", "--encoding", "UTF8", "--no-sync", "--locale", "C"],
    { ...as, stdio: "ignore" },
  );
  const [exitCode] = (await once(initialized, "exit")) as [number];
  if (exitCode !== 0) throw new Error(`initdb ended with ${exitCode}`);
  const port = await freePort();
  const options = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", folder, "-F"];
  const program = spawn(binary, options, { ...as, stdio: "ignore" });
  const url = `postgres://devex@127.0.0.1:${port}/postgres`;
  await untilAnswers(url, program);
  /** It has a process for each connection. */
  async function signalAll(signal: "STOP" | "CONT"): Promise<void> {
    const pid = String(program.pid);
    await run("kill", [`-${signal}`, pid]);
    await run("pkill", [`-${signal}`, "-P", pid]);
  }
  return {
    url,
    async database(name) {
      const client = new Client(url);
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      return url.replace(/postgres$/, name);
    },
    hang: () => signalAll("STOP"),
    goOn: () => signalAll("CONT"),
    async stop() {
      program.kill("SIGINT");
      await untilEnded(program);
      if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function untilAnswers(url: string, program: ChildProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const client = new Client(url);
    client.on("error", () => {});
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      if (Date.now() > deadline || program.exitCode !== null) throw error;
    }
  }
}

async function idsOf(user: string): Promise<[number, number]> {
  const [uid, gid] = await Promise.all(["-u", "-g"].map(async (flag) => Number(await run("id", [flag, user]))));
  return [uid ?? 0, gid ?? 0];
}
