import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runVitest, type TestReport } from "./run-vitest.ts";

const help = `npm run test:faults                 on fakes: every step x every fault, late attempts, wrong answers, random walks
npm run test:faults -- --real       then on the local stack (npm run stack -- up): crashes, hangs, upgrades, resets, load
npm run test:faults -- --long       the same, in the longer form: more walks, a minute's hang, a walk of ten minutes, 50 people
DEVEX_WALK_SEED and DEVEX_WALKS repeat a walk (docs/reliability.md). With --write, what was survived becomes the table in docs/reliability.md.`;

const page = fileURLToPath(new URL("../docs/reliability.md", import.meta.url));
const [begin, end] = ["<!-- the table begins -->", "<!-- the table ends -->"];
const suites = [
  { project: "workflows", files: ["test/faults"], isReal: false },
  {
    project: "contract",
    files: ["cluster", "killed-saves", "full-disk"].map((file) => `test/contracts/${file}.test.ts`),
    isReal: true,
  },
  {
    project: "e2e",
    files: [
      "faults",
      "bad-days",
      "each-step",
      "releases",
      "reset",
      "reset-each-step",
      "operations",
      "reconciler",
      "keys",
      "saves",
      "random-walk",
      "load",
      "promise",
    ].map((file) => `test/e2e/${file}.test.ts`),
    isReal: true,
  },
];
const longForm = {
  DEVEX_WALKS: "400",
  DEVEX_HANG_SECONDS: "60",
  DEVEX_WALK_SECONDS: "600",
  DEVEX_LOAD_USERS: "50",
  DEVEX_EVERY_STEP: "true",
};

interface Row {
  readonly file: string;
  readonly what: string;
  tried: number;
  survived: number;
  longestMs: number;
  /** From the end of the fault, or from the fault where nobody mends it, until all was as it should be. */
  recoverySeconds?: number;
}

async function main(): Promise<boolean> {
  const flags = new Set(process.argv.slice(2));
  if (flags.has("--help") || [...flags].some((flag) => !["--real", "--long", "--write"].includes(flag))) {
    console.log(help);
    return flags.has("--help");
  }
  const isLong = flags.has("--long");
  const folder = mkdtempSync(join(tmpdir(), "devex-faults-"));
  const rows = new Map<string, Row>();
  let isGreen = true;
  try {
    for (const { project, files, isReal } of suites) {
      if (isReal && !flags.has("--real") && !isLong) continue;
      const report = join(folder, `${project}.json`);
      // Whoever sets a variable knows why.
      const environment = { ...(isLong ? longForm : {}), ...process.env };
      const ok = await runVitest(["--project", project, ...files], report, environment);
      isGreen &&= ok;
      collect(JSON.parse(readFileSync(report, "utf8")) as TestReport, rows);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const table = tableOf([...rows.values()], [...flags].join(" "));
  console.log(table);
  if (flags.has("--write")) {
    const text = readFileSync(page, "utf8");
    const [before = "", after = ""] = [text.split(begin)[0], text.split(end)[1]];
    writeFileSync(page, `${before}${begin}\n${table}\n${end}${after}`);
  }
  return isGreen;
}

/** Cases that differ only in the step, the fault or a number are one row. */
function collect({ testResults }: TestReport, rows: Map<string, Row>): void {
  for (const { name, assertionResults } of testResults) {
    for (const { ancestorTitles, title, status, duration = 0, meta } of assertionResults) {
      const what = [...ancestorTitles, title]
        .join(": ")
        .replaceAll(/\b(?:[a-z]+[A-Z]\w*|before|after|twice|inside)\b/g, "…")
        .replaceAll(/\b\d+\b/g, "…")
        .replaceAll("|", "/");
      const key = `${name} ${what}`;
      const row = rows.get(key) ?? { file: basename(name), what, tried: 0, survived: 0, longestMs: 0 };
      row.tried++;
      if (status === "passed") row.survived++;
      row.longestMs = Math.max(row.longestMs, duration);
      if (meta?.recoverySeconds !== undefined)
        row.recoverySeconds = Math.max(row.recoverySeconds ?? 0, meta.recoverySeconds);
      rows.set(key, row);
    }
  }
}

function tableOf(rows: readonly Row[], flags: string): string {
  const date = new Date().toISOString().slice(0, 10);
  return [
    `\`npm run test:faults -- ${flags}\`, ${date}, ${cpus().length} cores. The longest case with preparing and looking at the outcome; well again: from the end of the fault, or from the fault where it ends by itself.`,
    "",
    "| what | tried | survived | longest case, s | well again after, s | file |",
    "|---|---|---|---|---|---|",
    ...rows.map(
      ({ what, tried, survived, longestMs, recoverySeconds, file }) =>
        `| ${what} | ${tried} | ${survived} | ${(longestMs / 1000).toFixed(1)} | ${recoverySeconds?.toFixed(1) ?? ""} | ${file} |`,
    ),
  ].join("\n");
}

process.exitCode = (await main()) ? 0 : 1;
