import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import * as k8s from "@kubernetes/client-node";
import { Client, Connection } from "@temporalio/client";
import proto from "@temporalio/proto";
import { expect, vi } from "vitest";
import type { ReconcileInput } from "../../activities/inputs.ts";
import { taskQueue, workflowIdOf } from "../../domain/naming.ts";
import type { ReconcileReport } from "../../workflows/reconcile-repls.ts";
import { isRunning, readServerPid } from "../../tools/stack/processes.ts";
import { portOf, readOrCreateSettings } from "../../tools/stack/settings.ts";
import { bringUp } from "../../tools/stack/up.ts";
import { deploymentName } from "../../worker/releases.ts";
import { stackVariable } from "../setup/stack-variables.ts";

export const stack = () => readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");

const { EVENT_TYPE_WORKFLOW_TASK_COMPLETED: taskCompleted } = proto.temporal.api.enums.v1.EventType;

export async function withTemporal<T>(use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: stackVariable("TEMPORAL_ADDRESS") });
  try {
    return await use(new Client({ connection, namespace: stackVariable("TEMPORAL_NAMESPACE") }));
  } finally {
    await connection.close();
  }
}

/** What Temporal knows of a step that a REPL's workflow is at. */
export const pendingOf = (replId: string, step: string) =>
  withTemporal(async (client) => {
    const { raw } = await client.workflow.getHandle(workflowIdOf(replId)).describe();
    return raw.pendingActivities?.find(({ activityType }) => activityType?.name === step);
  });

/** Stops a server of the stack in its tracks, as a machine that hangs would, until the returned function is called. */
export function freeze(server: string): () => void {
  const pid = readServerPid(stack(), server);
  process.kill(pid, "SIGSTOP");
  return () => process.kill(pid, "SIGCONT");
}

/** Ends a server of the stack from one moment to the next, until the returned function is called. */
export function stop(server: string): () => Promise<void> {
  process.kill(readServerPid(stack(), server), "SIGKILL");
  return async () => {
    while (isRunning(stack(), server)) await delay(10);
    await bringUp(stack(), () => {});
  };
}

/** Kills the first process of a container, as the kernel does when memory is short. */
export function killContainer(containerId: string): void {
  const first = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => isFirstOf(pid, containerId));
  if (!first) throw new Error(`no process of container ${containerId} runs`);
  process.kill(first, "SIGKILL");
}

/** The first process of its own namespace of processes, in the container's control group. */
function isFirstOf(pid: number, containerId: string): boolean {
  try {
    const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8");
    return read("cgroup").includes(containerId) && /^NSpid:.*\t1$/m.test(read("status"));
  } catch {
    return false;
  }
}

export const crash = (server: string): Promise<void> => stop(server)();

/** What a command in a container prints, as `kubectl exec` shows it. */
export async function outputOf(
  config: k8s.KubeConfig,
  at: { readonly namespace: string; readonly pod: string; readonly container: string },
  command: string[],
): Promise<string> {
  let output = "";
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      output += chunk.toString();
      done();
    },
  });
  await new Promise<void>((resolve, reject) => {
    new k8s.Exec(config)
      .exec(at.namespace, at.pod, at.container, command, out, out, null, false, () => resolve())
      .catch(reject);
  });
  return output;
}

/** Prints the files of compiled code that Node finds for the user who asks; a line of an error when there are none. */
export const listCompiledCode = [
  "node",
  "-e",
  'console.log(require("node:fs").readdirSync(require("node:module").getCompileCacheDir()).join("\\n"))',
];

/** Those of the local stack's one node run on this machine, each in a cgroup that names its pod. */
function killProcessesOf(podUid: string): void {
  const found = readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`pod${podUid}`);
    } catch {
      return false;
    }
  });
  if (found.length === 0) throw new Error(`no process of pod ${podUid} runs here`);
  for (const pid of found) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      // It went with the first process of its container, which was killed a moment ago.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Protocol buffers write a time as a field of seconds, whole numbers in sevens of bits; for years to come of one length. */
function secondsField(time: number): Buffer {
  const bytes = [8];
  for (let left = Math.floor(time / 1000); left > 0; left = Math.floor(left / 128))
    bytes.push((left % 128) + (left >= 128 ? 128 : 0));
  return Buffer.from(bytes);
}

/** What etcd answers; keys and values are in base64. */
async function askEtcd(method: string, request: object) {
  const url = `http://127.0.0.1:${portOf(stack(), "etcd")}/v3/kv/${method}`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
  return (await response.json()) as { readonly kvs?: readonly { readonly value: string }[] };
}

/** Waits until another pod of the REPL than this one is ready. */
export async function successorOf(replId: string, uid: string | undefined): Promise<void> {
  await vi.waitFor(
    async () => {
      const others = (await operator().podsOf(replId)).filter(({ metadata }) => metadata?.uid !== uid);
      expect(others.some(({ status }) => status?.containerStatuses?.every(({ ready }) => ready))).toBe(true);
    },
    { timeout: 60_000, interval: 200 },
  );
}

/** An operator's hands on the cluster and on Temporal. */
export function operator() {
  const config = new k8s.KubeConfig();
  config.loadFromFile(stackVariable("KUBECONFIG"));
  const core = config.makeApiClient(k8s.CoreV1Api);
  const apps = config.makeApiClient(k8s.AppsV1Api);
  const namespace = stackVariable("REPL_NAMESPACE");
  const podsOf = async (replId: string) =>
    (await core.listNamespacedPod({ namespace, labelSelector: `devex.dev/repl-id=${replId}` })).items;
  return {
    podsOf,
    /** A pod that is gone from one moment to the next, as with its node: none of its programs has a last word. */
    async killPod(name: string): Promise<void> {
      const { metadata } = await core.readNamespacedPod({ name, namespace });
      killProcessesOf(metadata?.uid ?? "no pod");
      await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
    },
    /** Ends a pod as a drain does: it has its grace, and another one takes its place at once. */
    evictPod: (name: string) =>
      core.createNamespacedPodEviction({ name, namespace, body: { metadata: { name, namespace } } }),
    /** As `kubectl delete pod` does: it has its grace, and another one takes its place at once. */
    deletePod: (name: string) => core.deleteNamespacedPod({ name, namespace }),
    /** Makes a session older than it is: the time of its creation is changed where the API server keeps it. */
    async makeOlder(replId: string, seconds: number): Promise<void> {
      const read = async () => (await apps.readNamespacedDeployment({ name: replId, namespace })).metadata;
      const created = new Date((await read())?.creationTimestamp ?? 0).getTime();
      const key = Buffer.from(`/registry/deployments/${namespace}/${replId}`).toString("base64");
      const before = Buffer.from((await askEtcd("range", { key })).kvs?.[0]?.value ?? "", "base64");
      const [then, earlier] = [secondsField(created), secondsField(created - seconds * 1000)];
      const value = Buffer.from(
        before.toString("latin1").replaceAll(then.toString("latin1"), earlier.toString("latin1")),
        "latin1",
      );
      await askEtcd("put", { key, value: value.toString("base64") });
      await vi.waitFor(
        async () => expect(new Date((await read())?.creationTimestamp ?? 0).getTime()).toBe(created - seconds * 1000),
        { timeout: 10_000, interval: 100 },
      );
    },
    /** Takes no new pods on a node, until the returned function is called. */
    async cordon(name: string): Promise<() => Promise<unknown>> {
      const set = (unschedulable: boolean) =>
        core.patchNode(
          { name, body: { spec: { unschedulable } } },
          k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
        );
      await set(true);
      return () => set(false);
    },
    /** What a session's Secret holds, decoded. */
    async secretOf(replId: string): Promise<Record<string, string>> {
      const { data = {} } = await core.readNamespacedSecret({ name: replId, namespace });
      return Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, Buffer.from(value, "base64").toString()]),
      );
    },
    /** What a command in a container of the REPL's pod prints. */
    async runIn(replId: string, container: string, command: string[]): Promise<string> {
      const [pod] = await podsOf(replId);
      return outputOf(config, { namespace, pod: pod?.metadata?.name ?? "", container }, command);
    },
    /** The release of the worker that new workflows begin on; the first one takes a second to be so. */
    currentRelease: () =>
      withTemporal(({ workflowService, options }) =>
        vi.waitFor(
          async () => {
            const request = { namespace: options.namespace, deploymentName };
            const { workerDeploymentInfo } = await workflowService.describeWorkerDeployment(request);
            const buildId = workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId;
            if (!buildId) throw new Error("no release is current");
            return buildId;
          },
          { timeout: 10_000, interval: 100 },
        ),
      ),
    /** The release that runs, or ran, the newest workflow of a REPL. */
    releaseOf: (replId: string) =>
      withTemporal(async (client) => {
        const { raw } = await client.workflow.getHandle(workflowIdOf(replId)).describe();
        return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
      }),
    /** Runs the reconciler as its Schedule does, and waits for what it says. */
    reconcile: (input: ReconcileInput): Promise<ReconcileReport> =>
      withTemporal((client) =>
        client.workflow.execute("reconcileRepls", {
          workflowId: `reconcile-repls/${input.userId}/${Date.now()}`,
          taskQueue,
          args: [input],
        }),
      ) as Promise<ReconcileReport>,
    /**
     * Resets the newest run of a type of a REPL's workflows to its first task, as the UI does, and waits for its end.
     * Answers with how that was.
     */
    reset: (replId: string, type: string): Promise<string> =>
      withTemporal(async (client) => {
        const workflowId = workflowIdOf(replId);
        let runId = "";
        for await (const run of client.workflow.list({
          query: `WorkflowId="${workflowId}" AND WorkflowType="${type}"`,
        })) {
          runId = run.runId;
          break;
        }
        const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
        const { runId: newRun } = await client.workflowService.resetWorkflowExecution({
          namespace: client.options.namespace,
          workflowExecution: { workflowId, runId },
          workflowTaskFinishEventId: events?.find(({ eventType }) => eventType === taskCompleted)?.eventId ?? null,
          reason: "a test",
          requestId: randomUUID(),
        });
        const handle = client.workflow.getHandle(workflowId, newRun);
        await handle.result().catch(() => {});
        return (await handle.describe()).status.name;
      }),
  };
}
