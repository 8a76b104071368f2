import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stackEnvironment } from "../tools/stack/environment.ts";
import { readOrCreateSettings } from "../tools/stack/settings.ts";
import { loadedImages } from "../tools/stack/up.ts";
import { benchApi } from "./api.ts";
import { benchPage } from "./page.ts";
import { benchReconcile } from "./reconcile.ts";
import { benchRunner } from "./runner.ts";
import { benchSync } from "./sync.ts";
import { benchTrees } from "./trees.ts";
import { benchFloors, benchLifecycle } from "./lifecycle.ts";
import type { BenchOptions, Row } from "./rows.ts";

const help = `Usage: npm run bench -- lifecycle|floors|api|sync|runner|trees|reconcile|page [--rounds 20]

  lifecycle   create, open and close, next to the floors
  floors      the floors alone: what Kubernetes needs for a pod and for an ephemeral container
  sync        saves and restores of trees, next to rclone (built once) and to one archive; needs the stack only
  runner      key presses, terminal output, previews, memory and start of the runner, next to a bare server in the same pod
  trees       200, 20,000 and 100,000 files: until the editor has loaded and hears of a change, memory, close and open
  reconcile   one run of the reconciler over 1,000 and 10,000 sessions
  page        list and room in a browser, keys into a file, memory after much output; next to a page of one line
  api         look-ups of one API process under load, next to what Hono alone does; flushes the stack's Redis

Measures on the running stack (npm run stack -- up) with programs of its own, one JSON row a case, and keeps the rows in bench/results.
Let nothing else run meanwhile.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "20" }, help: { type: "boolean", default: false } },
});

const benches: Record<string, (options: BenchOptions, print: (row: Row) => void) => Promise<unknown>> = {
  lifecycle: benchLifecycle,
  floors: benchFloors,
  api: benchApi,
  sync: benchSync,
  runner: benchRunner,
  trees: benchTrees,
  reconcile: benchReconcile,
  page: benchPage,
};
const name = positionals[0] ?? "";
const bench = benches[name];
if (values.help || !bench) {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
const rows: string[] = [];
const note = (row: object) => {
  const text = JSON.stringify(row);
  rows.push(text);
  console.log(text);
};
const folder = fileURLToPath(new URL("results", import.meta.url));
mkdirSync(folder, { recursive: true });
note({
  command: `npm run bench -- ${name} --rounds ${values.rounds}`,
  date: new Date().toISOString(),
  cores: cpus().length,
  processor: cpus()[0]?.model,
  node: process.version,
});
// The stack's identity server takes longer for a request the more keys there are (tools/stack/identity.ts), which
// would measure how many rounds came before. The store's own keys are checked in the S3 server itself.
const keyNames = new Set(["STS_ROLE_ARN", "STS_ISSUER", "STS_SIGNING_KEY_FILE"]);
const variables = Object.entries(stackEnvironment(stack, loadedImages(stack))).filter(([key]) => !keyNames.has(key));
await bench({ stack, environment: Object.fromEntries(variables), rounds: Number(values.rounds) }, note);
writeFileSync(`${folder}/${name}.jsonl`, `${rows.join("\n")}\n`);
process.exit(0);
