import { Client, Connection } from "@temporalio/client";

/** A connection that is made when it is first used, and again when it breaks. */
export function createTemporalClient(options: { readonly address: string; readonly namespace: string }): {
  client: Client;
  connection: Connection;
} {
  const connection = Connection.lazy({ address: options.address });
  return { connection, client: new Client({ connection, namespace: options.namespace }) };
}
