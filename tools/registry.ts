import { parseArgs } from "node:util";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { createPostgresRegistry } from "../adapters/postgres-registry.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createTemporalClient, runningReplWorkflows } from "../adapters/temporal-client.ts";
import { loadConfig } from "../config/config.ts";
import { objectStoreOptions, temporalOptions } from "../config/settings.ts";
import { pagesOfSessions } from "../domain/all-sessions.ts";
import { catchUpRegistry } from "../domain/catch-up-registry.ts";
import { messageOf } from "../domain/errors.ts";
import { moveRegistry } from "../domain/move-registry.ts";
import { createObjectStoreRegistry } from "../domain/object-store-registry.ts";
import { environmentOfStack } from "./stack/environment.ts";

const help = `Usage: npm run registry -- to-postgres | to-bucket | catch-up

to-postgres and to-bucket move the registry, the record of each REPL with its newest save, from the bucket into the database of DATABASE_URL, or
back: copies each record and reads it back, notes in the bucket where they are from now on, and removes the old ones.
End API and workers before, and start them with DATABASE_URL (or without it) after; they refuse to start with the wrong
one.

catch-up brings the records of a database that came back from a backup up to the saves that were made since: what leads
on in the bucket, save by save, from the one that a record names becomes its newest. Where several lead on from one,
it says after ! which it took: the one that others lead on from, else that of the latest session. End API and workers
before.

No REPL may be open and no workflow under way: it looks, and does nothing then. When it is interrupted, run it again.

Reads the configuration of API and worker from the environment; where that names no servers, the local stack's.
Exit code: 0 done, 1 not done, 2 wrong usage.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h", default: false } },
});
const [command] = positionals;
const commands = ["to-postgres", "to-bucket", "catch-up"];
if (values.help || positionals.length !== 1 || !commands.includes(command ?? "")) {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}

async function main(): Promise<void> {
  const config = loadConfig(environmentOfStack(process.env));
  if (!config.DATABASE_URL) throw new Error("DATABASE_URL: is missing; it says which database");
  const store = createS3ObjectStore(objectStoreOptions(config));
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });
  const { client, connection } = createTemporalClient(temporalOptions(config), config.TEMPORAL_NAMESPACE);
  const database = createPostgresRegistry(config.DATABASE_URL);
  try {
    const open: string[] = [];
    for await (const page of pagesOfSessions(cluster)) open.push(...page.map(({ replId }) => replId));
    if (open.length > 0) throw new Error(`${open.length} REPLs are open, ${open[0]} among them: close them first`);
    const { count } = await client.workflow.count(runningReplWorkflows);
    if (count > 0) throw new Error(`${count} workflows are under way: let them end first`);
    await store.prepare({ mayCreate: false });
    await database.migrate();
    const bucket = createObjectStoreRegistry(store);
    if (command === "catch-up") {
      const { moved, forks, failed } = await catchUpRegistry(store, database);
      for (const fork of forks) console.log(`! ${fork}`);
      console.log(`✓ ${moved.length} records name a newer save now${moved.map((replId) => `\n  ${replId}`).join("")}`);
      if (failed.length > 0) throw new Error(`${failed.length} could not be looked at:\n  ${failed.join("\n  ")}`);
      return;
    }
    const toPostgres = command === "to-postgres";
    const { records } = toPostgres
      ? await moveRegistry({ store, from: bucket, to: database })
      : await moveRegistry({ store, from: database, to: bucket });
    console.log(
      `✓ ${records} records are in ${toPostgres ? "Postgres" : "the bucket"}; start API and workers ${toPostgres ? "with" : "without"} DATABASE_URL`,
    );
  } finally {
    await database.close();
    await connection.close();
  }
}

await main().catch((error: unknown) => {
  console.error(`✗ ${messageOf(error)}`);
  process.exitCode = 1;
});
