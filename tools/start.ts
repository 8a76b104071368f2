import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { buildPage } from "./build-page.ts";
import { currentRelease } from "./current-release.ts";
import { endPrograms, startProgram } from "./programs.ts";
import { responds } from "./responds.ts";
import { apiAddresses, ownServers, stackEnvironment } from "./stack/environment.ts";
import { readOrCreateSettings } from "./stack/settings.ts";
import { bringUp, loadedImages } from "./stack/up.ts";

/** What `npm start` does: the stack, then worker and API in this terminal, until Ctrl-C. The stack goes on. */

const print = (line: string) => console.log(line);

async function main(): Promise<void> {
  if (process.argv.includes("--help")) {
    return print(
      "npm start: brings up the local stack (see `npm run stack -- --help`), then runs worker and API until Ctrl-C.\nDEVEX_STACK names the stack (default dev), PORT the API's port (default 8080).",
    );
  }
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  const own = Object.entries(ownServers(process.env)).flatMap(([part, isOwn]) => (isOwn ? [part] : []));
  if (own.length > 0) print(`Yours, from the environment: ${own.join(", ")}`);
  print(
    "Bringing up the local stack. The first time takes a while: it builds Kubernetes, Temporal, S3 and Traefik from source.",
  );
  await bringUp(stack, print);

  await buildPage();

  const port = process.env["PORT"] ?? "8080";
  const variables = stackEnvironment(stack, loadedImages(stack));
  const release = { BUILD_ID: process.env["BUILD_ID"] ?? (await currentRelease()) };
  const environment = { ...process.env, ...variables, ...apiAddresses(stack, port), ...release };
  const programs = ["worker", "api"].map((name) => startProgram(`${name}/main.ts`, environment, "inherit"));
  const stop = () => programs.forEach((program) => program.kill("SIGTERM"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  const ended = Promise.race(programs.map((program) => once(program, "exit")));
  const over = new AbortController();
  void ended.then(() => over.abort());

  // One that ended has said why.
  if (await isReady(`http://localhost:${port}`, over.signal))
    print(`
Devex Core is ready.
  The page       http://localhost:${port}
  API            http://localhost:${port}/docs   (try: curl http://localhost:${port}/ping)
  REPLs          ${variables["RUNNER_URL"]}/<replId>/
  Temporal UI    ${variables["TEMPORAL_UI_URL"] ?? "yours"}
  Sample flow    npm run demo   (in another terminal)
Ctrl-C ends API and worker; open REPLs and the stack go on. npm run stack -- down removes everything.
`);
  await ended;
  await endPrograms(programs);
  process.exitCode = programs.some((program) => program.exitCode) ? 1 : 0;
}

/** False when the signal ends the wait. */
async function isReady(url: string, over: AbortSignal): Promise<boolean> {
  while (!over.aborted && !(await responds(`${url}/readyz`))) await delay(200);
  return !over.aborted;
}

await main().catch((error: unknown) => {
  console.error(`✗ ${error instanceof Error ? error.message : String(error)}\n  npm run stack -- doctor says more.`);
  process.exitCode = 1;
});
