import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client, Connection } from "@temporalio/client";
import proto from "@temporalio/proto";
import project from "../package.json" with { type: "json" };
import { stackEnvironment } from "./stack/environment.ts";
import { readOrCreateSettings } from "./stack/settings.ts";

/**
 * Keeps the newest history of each kind of workflow and outcome in test/histories/<version of package.json>, or in the
 * folder of another name that is given: of what comes between two versions. A test replays all of them. Prints how many events and bytes each takes.
 */

const { History } = proto.temporal.api.history.v1;
const types = [
  "createRepl",
  "openRepl",
  "shutdownRepl",
  "deleteRepl",
  "restoreRepl",
  "rescueRepl",
  "pruneSaves",
  "reconcileRepls",
];
const outcomes = ["Completed", "Failed", "Canceled"];

const name = process.argv[2] ?? project.version;
const folder = fileURLToPath(new URL(`../test/histories/${name}/`, import.meta.url));
mkdirSync(folder, { recursive: true });
const environment = stackEnvironment(readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev"), undefined);
const connection = await Connection.connect({ address: environment["TEMPORAL_ADDRESS"] ?? "" });
const client = new Client({ connection, namespace: environment["TEMPORAL_NAMESPACE"] ?? "default" });
for (const type of types) {
  for (const outcome of outcomes) {
    const found = client.workflow.list({
      query: `WorkflowType="${type}" AND ExecutionStatus="${outcome}"`,
      pageSize: 1,
    });
    for await (const { workflowId, runId } of found) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      writeFileSync(
        `${folder}${type}-${outcome.toLowerCase()}.json`,
        `${JSON.stringify({ workflowId, history: History.toObject(history as never, { longs: String, enums: String, bytes: String }) })}\n`,
      );
      const sizeBytes = History.encode(history).finish().length;
      console.log(`${type} ${outcome}: ${history.events?.length} events, ${sizeBytes} bytes, of ${workflowId}`);
      break;
    }
  }
}
await connection.close();
