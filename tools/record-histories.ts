import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client, Connection } from "@temporalio/client";
import proto from "@temporalio/proto";
import { stackEnvironment } from "./stack/environment.ts";
import { readOrCreateSettings } from "./stack/settings.ts";

/** Keeps the newest history of each kind of workflow and outcome in test/histories, where a test replays them. */

const { History } = proto.temporal.api.history.v1;
const types = ["createRepl", "openRepl", "shutdownRepl", "deleteRepl", "restoreRepl", "pruneSaves", "reconcileRepls"];
const outcomes = ["Completed", "Failed", "Canceled"];

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
      const file = fileURLToPath(new URL(`../test/histories/${type}-${outcome.toLowerCase()}.json`, import.meta.url));
      writeFileSync(
        file,
        `${JSON.stringify({ workflowId, history: History.toObject(history as never, { longs: String, enums: String, bytes: String }) })}\n`,
      );
      console.log(`${type} ${outcome}: ${history.events?.length} events of ${workflowId}`);
      break;
    }
  }
}
await connection.close();
