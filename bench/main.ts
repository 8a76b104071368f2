import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stackEnvironment } from "../tools/stack/environment.ts";
import { readOrCreateSettings } from "../tools/stack/settings.ts";
import { loadedImages } from "../tools/stack/up.ts";
import { benchLifecycle } from "./lifecycle.ts";

const help = `Usage: npm run bench -- lifecycle [--rounds 20]

Measures against the running system (npm start), one JSON row a case, and keeps the rows in bench/results.
Let nothing else run meanwhile.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "20" }, help: { type: "boolean", default: false } },
});

if (values.help || positionals[0] !== "lifecycle") {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}
const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
const apiUrl = process.env["API_URL"] ?? `http://localhost:${process.env["PORT"] ?? "8080"}`;
const rows: string[] = [];
const note = (row: object) => {
  const text = JSON.stringify(row);
  rows.push(text);
  console.log(text);
};
const folder = fileURLToPath(new URL("results", import.meta.url));
mkdirSync(folder, { recursive: true });
note({
  command: `npm run bench -- lifecycle --rounds ${values.rounds}`,
  date: new Date().toISOString(),
  cores: cpus().length,
  processor: cpus()[0]?.model,
  node: process.version,
});
await benchLifecycle(
  { apiUrl, environment: stackEnvironment(stack, loadedImages(stack)), rounds: Number(values.rounds) },
  note,
);
writeFileSync(`${folder}/lifecycle.jsonl`, `${rows.join("\n")}\n`);
process.exit(0);
