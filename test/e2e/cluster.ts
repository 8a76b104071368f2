import { Writable } from "node:stream";
import * as k8s from "@kubernetes/client-node";
import { Client, Connection } from "@temporalio/client";
import type { ReconcileInput } from "../../activities/inputs.ts";
import { taskQueue } from "../../domain/naming.ts";
import type { ReconcileReport } from "../../workflows/reconcile-repls.ts";
import { stackVariable } from "../setup/stack-variables.ts";

/** An operator's hands on the cluster and on Temporal. */
export function operator() {
  const config = new k8s.KubeConfig();
  config.loadFromFile(stackVariable("KUBECONFIG"));
  const core = config.makeApiClient(k8s.CoreV1Api);
  const namespace = stackVariable("REPL_NAMESPACE");
  const podsOf = async (replId: string) =>
    (await core.listNamespacedPod({ namespace, labelSelector: `devex.dev/repl-id=${replId}` })).items;
  return {
    podsOf,
    killPod: (name: string) => core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 }),
    /** What a session's Secret holds, decoded. */
    async secretOf(replId: string): Promise<Record<string, string>> {
      const { data = {} } = await core.readNamespacedSecret({ name: replId, namespace });
      return Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, Buffer.from(value, "base64").toString()]),
      );
    },
    /** What a file in a container of the REPL's pod holds. */
    async readFile(replId: string, container: string, path: string): Promise<string> {
      const [pod] = await podsOf(replId);
      let output = "";
      const out = new Writable({
        write(chunk: Buffer, _encoding, done) {
          output += chunk.toString();
          done();
        },
      });
      await new Promise<void>((resolve, reject) => {
        const name = pod?.metadata?.name ?? "";
        new k8s.Exec(config)
          .exec(namespace, name, container, ["cat", path], out, out, null, false, () => resolve())
          .catch(reject);
      });
      return output;
    },
    /** Runs the reconciler as its Schedule does, and waits for what it says. */
    async reconcile(input: ReconcileInput): Promise<ReconcileReport> {
      const connection = await Connection.connect({ address: stackVariable("TEMPORAL_ADDRESS") });
      try {
        const client = new Client({ connection, namespace: stackVariable("TEMPORAL_NAMESPACE") });
        return (await client.workflow.execute("reconcileRepls", {
          workflowId: `reconcile-repls/${input.userId}/${Date.now()}`,
          taskQueue,
          args: [input],
        })) as ReconcileReport;
      } finally {
        await connection.close();
      }
    },
  };
}
