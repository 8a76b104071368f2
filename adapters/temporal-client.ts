import { Client, Connection, type ClientPlugin, type ConnectionOptions } from "@temporalio/client";
import { workflowIdOf } from "../domain/naming.ts";

/** Asks Temporal for what is under way of any REPL. */
export const runningReplWorkflows = `ExecutionStatus="Running" AND WorkflowId STARTS_WITH "${workflowIdOf("")}"`;

/** A connection that is made when it is first used, and again when it breaks. */
export function createTemporalClient(
  options: ConnectionOptions,
  namespace: string,
  plugins: ClientPlugin[] = [],
): { client: Client; connection: Connection } {
  const connection = Connection.lazy(options);
  return { connection, client: new Client({ connection, namespace, plugins }) };
}
