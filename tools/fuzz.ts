import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { signIn } from "./api-client.ts";
import { run, runQuietly } from "./stack/commands.ts";
import { installPackages } from "./stack/packages.ts";
import { cacheFolder } from "./stack/settings.ts";

const version = "4.32.5";
const help = `Usage: npm run fuzz -- [URL] [--examples 50] [--seed N]

Sends what the OpenAPI document allows, and what it does not, to a running API (http://localhost:8080), as a user of
its own whose REPLs are removed afterwards. Fails on any 5xx and on any answer that is not as documented.`;

const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
];
/** A stream of events never ends, and a logout ends the session that all requests are sent with. */
const leftOut = "/events$|/auth/logout$";

/** Schemathesis from PyPI, once into the cache. Returns its program. */
async function prepareSchemathesis(): Promise<string> {
  const folder = join(cacheFolder, `schemathesis-${version}`);
  const program = join(folder, "bin", "schemathesis");
  if (existsSync(program)) return program;
  const pip = join(folder, "bin", "pip");
  const create = ["-m", "venv", "--clear", folder];
  await runQuietly("python3", create);
  if (!existsSync(pip)) {
    await installPackages(["python3", "python3-venv"]);
    await run("python3", create);
  }
  try {
    await run(pip, ["install", "-q", `schemathesis==${version}`], { env: process.env });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return program;
}

/** Fuzzes an API. Resolves with true when every answer was as documented and none a 5xx. */
export async function fuzz(apiUrl: string, { examples = 50, seed = 1 } = {}): Promise<boolean> {
  const program = await prepareSchemathesis();
  const person = await signIn(apiUrl, `fuzz-${randomUUID().slice(0, 8)}`);
  const options = [
    `--header=Authorization: Bearer ${person.token}`,
    `--checks=${checks.join(",")}`,
    `--exclude-path-regex=${leftOut}`,
    `--max-examples=${examples}`,
    `--seed=${seed}`,
    "--request-timeout=60",
    "--no-color",
  ];
  const child = spawn(program, ["run", `${apiUrl}/openapi.json`, ...options], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number | null];
  for (const { id } of await person.list()) await person.remove(id);
  return code === 0;
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { examples: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) console.log(help);
  else {
    const isGood = await fuzz(positionals[0] ?? "http://localhost:8080", {
      examples: Number(values.examples ?? 50),
      seed: Number(values.seed ?? 1),
    });
    process.exitCode = isGood ? 0 : 1;
  }
}
