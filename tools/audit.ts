import { parseArgs } from "node:util";
import { loadConfig } from "../config/config.ts";
import { findViolations, type ReplFacts } from "../domain/invariants.ts";
import { openWitness } from "./facts.ts";
import { environmentOfStack } from "./stack/environment.ts";

const help = `Usage: npm run audit [-- --grace SECONDS] [--deep]

Looks at every REPL of a live system and lists what does not hold of it: a save that cannot be read or whose files are
gone, files without a record, a session that may not write, something that nobody is at work on, look-ups that disagree
with the cluster. Changes nothing.

Reads the configuration of API and worker from the environment; where that names no servers, the local stack's.
Exit code: 0 nothing found, 1 something found, 2 wrong usage.

  --grace   how long what is seen may have been on its way (default 600)
  --deep    look for every file of each newest save; without it for twenty of those that have more than a thousand`;

/** Everything that does not hold, in words. */
export async function audit(
  environment: Record<string, string | undefined>,
  graceSeconds: number,
  isChosen: (facts: ReplFacts) => boolean = () => true,
  isDeep = false,
): Promise<string[]> {
  const witness = await openWitness(loadConfig(environment));
  try {
    const now = new Date();
    const [facts, remains] = await Promise.all([
      witness.facts(undefined, { isDeep, ofBucket: true }),
      witness.remains(),
    ]);
    const silent = witness.silent();
    // Without one of the sources the rest would look as if things were missing.
    if (silent.size > 0) return [...silent.values()].map((line) => `${line}, so nothing can be said`);
    const isOld = (since: string) => now.getTime() - Date.parse(since) > graceSeconds * 1000;
    return [
      ...facts.filter(isChosen).flatMap((one) => findViolations(one, now, graceSeconds)),
      ...remains
        .filter(({ createdAt }) => isOld(createdAt))
        .map(({ replId }) => ({ invariant: "I7", replId, what: "objects without a Deployment" })),
    ].map(({ invariant, replId, what }) => `${invariant} ${replId}: ${what}`);
  } finally {
    await witness.close();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      grace: { type: "string", default: "600" },
      deep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const grace = Number(values.grace);
  if (values.help || !(grace >= 0)) {
    console.log(help);
    process.exit(values.help ? 0 : 2);
  }
  const found = await audit(environmentOfStack(process.env), grace, undefined, values.deep);
  for (const line of found) console.log(`✗ ${line}`);
  console.log(
    found.length === 0 ? "✓ every invariant holds" : `${found.length} found; docs/operations.md says what to do`,
  );
  process.exit(found.length === 0 ? 0 : 1);
}
