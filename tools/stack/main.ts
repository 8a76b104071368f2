import { parseArgs } from "node:util";
import { deploy, undeploy } from "./deploy.ts";
import { inspectMachine, inspectStack, inspectStore, type Finding } from "./doctor.ts";
import { takeDown } from "./down.ts";
import { stackEnvironment } from "./environment.ts";
import { listServers, tailLog } from "./processes.ts";
import { listStacks, readOrCreateSettings, readSettings, type StackSettings } from "./settings.ts";
import { bringUp, loadedImages } from "./up.ts";

const help = `Usage: npm run stack -- COMMAND [--name NAME]

The local stack: Kubernetes with a kubelet, Temporal with its UI, Redis, an S3 server, Traefik.

  up       build what is missing (the first time), start what does not run
  down     stop everything and remove all its state, the REPLs' files included
  deploy   run API and worker inside the cluster too, as deploy/overlays/local says (the stack must be up)
  undeploy remove them again; REPLs stay
  status   what runs and where
  logs     the end of each log, or: logs SERVER [--lines N]
  env      addresses and keys of the stack as KEY=value lines
  doctor   what the machine lacks or what is unhealthy, and what to do; tries what the object store can
  list     the stacks on this machine

  --name   which stack (default: $DEVEX_STACK or dev); stacks of different names run side by side

Servers you have are used in place of the stack's when you set their variables first:
REDIS_URL, TEMPORAL_ADDRESS, S3_ENDPOINT (with S3_ACCESS_KEY …), KUBECONFIG (with RUNNER_URL …).`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: "string", default: process.env["DEVEX_STACK"] ?? "dev" },
    lines: { type: "string", default: "20" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const print = (line: string) => console.log(line);

const commands: Record<string, () => Promise<void>> = {
  async up() {
    const stack = readOrCreateSettings(values.name);
    const started = performance.now();
    await bringUp(stack, print);
    print(
      `stack "${stack.name}" is up after ${((performance.now() - started) / 1000).toFixed(1)} s; Temporal UI: ${stackEnvironment(stack, undefined)["TEMPORAL_UI_URL"] ?? "yours"}`,
    );
  },
  async down() {
    const stack = readSettings(values.name);
    if (!stack) return print(`there is no stack "${values.name}"`);
    await takeDown(stack);
    print(`stack "${stack.name}" is gone`);
  },
  async deploy() {
    const url = await deploy(existing(), print);
    print(`API and worker run in the cluster: ${url}/ping`);
  },
  async undeploy() {
    await undeploy(existing());
    print("API and worker are gone from the cluster; REPLs stay");
  },
  async status() {
    report(await inspectStack(existing()));
  },
  async logs() {
    const stack = existing();
    const chosen = positionals[1] ? [positionals[1]] : listServers(stack);
    for (const server of chosen) print(`── ${server}\n${tailLog(stack, server, Number(values.lines))}`);
  },
  async env() {
    const stack = existing();
    for (const [key, value] of Object.entries(stackEnvironment(stack, loadedImages(stack)))) print(`${key}=${value}`);
  },
  async doctor() {
    const stack = readSettings(values.name);
    const ofStack = stack
      ? [...(await inspectStack(stack)), await inspectStore(stackEnvironment(stack, undefined))]
      : [];
    report([...(await inspectMachine()), ...ofStack]);
    if (!stack) print(`there is no stack "${values.name}" yet: npm run stack -- up`);
  },
  async list() {
    for (const stack of listStacks()) print(`${stack.name.padEnd(12)}${stack.folder}  ports from ${stack.basePort}`);
  },
};

function existing(): StackSettings {
  const stack = readSettings(values.name);
  if (!stack) throw new Error(`there is no stack "${values.name}": npm run stack -- up`);
  return stack;
}

function report(findings: readonly Finding[]): void {
  for (const { subject, ok, detail, advice } of findings)
    print(`${ok ? "✓" : "✗"} ${subject.padEnd(26)}${detail}${advice ? `\n    → ${advice}` : ""}`);
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
}

const command = commands[positionals[0] ?? ""];
if (values.help || !command) {
  print(help);
  process.exitCode = values.help ? 0 : 2;
} else {
  await command().catch((error: unknown) => {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
