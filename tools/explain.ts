import { loadConfig } from "../config/config.ts";
import { findViolations, type ReplFacts } from "../domain/invariants.ts";
import { openWitness, type Source, type Witness } from "./facts.ts";
import { environmentOfStack } from "./stack/environment.ts";

const help = `Usage: npm run explain -- REPL-ID

Says what every part of the system knows of one REPL, registry, saves, cluster, look-ups and workflows, and what of it
disagrees. Changes nothing. Reads the configuration of API and worker from the environment; where that names no
servers, the local stack's.`;

const newestRuns = 5;

async function explain(witness: Witness, facts: ReplFacts): Promise<string> {
  const { replId, record, session, known, workflow, broken } = facts;
  const [report] = session ? await witness.reports([session]) : [];
  const [pending, history] = [await witness.pending(replId), await witness.history(replId, newestRuns)];
  const silent = witness.silent();
  /** Nothing is not the same as not knowing. */
  const of = (source: Source, said: string) => (silent.has(source) ? "not known" : said);
  const save = record?.lastSave;
  const lines: (readonly [string, string])[] = [
    [
      "registry",
      record
        ? `“${record.name}” of ${record.owner.login} (${record.owner.id}), template ${record.template}, made ${record.createdAt}; writer: ${record.sessionId ?? "nobody"}`
        : of("the object store", broken ?? "no such REPL"),
    ],
    [
      "newest save",
      save
        ? `${save.generation}: ${save.files} files, ${save.bytes} bytes, ${save.savedAt}`
        : of("the object store", "none"),
    ],
    ...(record?.lastLoss
      ? [["last loss", `${record.lastLoss.at}, went on from save ${record.lastLoss.generation}`] as const]
      : []),
    [
      "cluster",
      session
        ? `session ${session.id} since ${session.createdAt}, ${session.isReady ? "ready" : "not ready"}${session.ending ? `, ${session.ending}` : ""}${session.orphan ? `, looks like an orphan since ${session.orphan.since} (${session.orphan.looks} looks)` : ""}`
        : of("the cluster", "nothing runs"),
    ],
    [
      "runner",
      report
        ? `${report.connections} connections, last activity ${report.lastActivityAt}, heard ${report.reportedAt}`
        : of("Redis", "has not been heard"),
    ],
    [
      "look-ups",
      known
        ? `session ${known.id}, ${known.state}${known.reason ? ` (${known.reason})` : ""}`
        : of("Redis", "no session"),
    ],
    ["workflow now", workflow ? `${workflow.type} since ${workflow.startedAt}` : of("Temporal", "none runs")],
    ...pending.map((line) => ["  pending", line] as const),
    ...history.map((line) => ["  run", line] as const),
    ...[...silent.values()].map((line) => ["✗", line] as const),
    // What disagrees is only known when all were heard.
    ...(silent.size > 0 ? [] : findViolations(facts, new Date(), 0)).map(
      ({ invariant, what }) => [`✗ ${invariant}`, what] as const,
    ),
  ];
  return lines.map(([name, text]) => `${name.padEnd(14)}${text}`).join("\n");
}

const [replId] = process.argv.slice(2);
if (!replId || replId.startsWith("-")) {
  console.log(help);
  process.exit(replId === "--help" || replId === "-h" ? 0 : 2);
}
const witness = await openWitness(loadConfig(environmentOfStack(process.env)));
const [facts = { replId }] = await witness.facts((id) => id === replId);
console.log(await explain(witness, facts));
await witness.close();
process.exit(0);
