import { randomUUID } from "node:crypto";
import * as k8s from "@kubernetes/client-node";
import { MockActivityEnvironment } from "@temporalio/testing";
import { createReviewRemains } from "../activities/review-remains.ts";
import { createReviewSessions } from "../activities/review-sessions.ts";
import type { ReconcileInput, SessionsReview } from "../activities/inputs.ts";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { connectToRedis } from "../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../adapters/redis-repl-events.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createStaticCredentials } from "../adapters/static-credentials.ts";
import { loadConfig } from "../config/config.ts";
import { clusterSettings, objectStoreOptions, storeKeys } from "../config/settings.ts";
import { loadTemplates } from "../config/templates.ts";
import { pagesOfSessions } from "../domain/all-sessions.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { objectKey } from "../domain/naming.ts";
import { createObjectStoreRegistry } from "../domain/object-store-registry.ts";
import type { ReplRecord } from "../domain/repl.ts";
import { createReadTruth } from "../domain/truth.ts";
import { deploymentManifest } from "../manifests/deployment.ts";
import { ratio, type BenchOptions, type Row } from "./rows.ts";

const sizes = [1000, 10_000];
const concurrentPuts = 32;
/** As many as the reconciler reads at once. */
const concurrentReads = 8;
const sampleEveryMs = 20;

/**
 * One run of the reconciler over sessions that are all in order, with real objects in the cluster (Deployments that
 * are paused, so that no pods are made of them), records in the store and look-ups in Redis; next to reading the same
 * once without looking at it.
 */
export async function benchReconcile({ environment }: BenchOptions, print: (row: Row) => void): Promise<void> {
  const config = loadConfig(environment);
  const namespace = `bench-${randomUUID().slice(0, 8)}`;
  const kubernetes = new k8s.KubeConfig();
  kubernetes.loadFromFile(config.KUBECONFIG ?? "");
  const core = kubernetes.makeApiClient(k8s.CoreV1Api);
  const apps = kubernetes.makeApiClient(k8s.AppsV1Api);
  const store = createS3ObjectStore(objectStoreOptions(config));
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace });
  const registry = createObjectStoreRegistry(store);
  const redis = connectToRedis(config.REDIS_URL);
  const readTruth = createReadTruth(registry, cluster, config.RUNNER_URL);
  const directory = createRedisReplDirectory(redis, { sessionTtlSeconds: config.MAX_LIFETIME, readTruth });
  const settings = { ...clusterSettings(config), namespace };
  const ports = {
    store,
    registry,
    cluster,
    directory,
    settings,
    events: createRedisReplEvents(redis),
    credentials: createStaticCredentials(storeKeys(config)),
    lifetimes: { idleSeconds: config.IDLE_TIMEOUT, maximumSeconds: config.MAX_LIFETIME },
    runnerTokenFor: () => "",
    limits: { maxRepls: sizes.length * 10_000, maxActive: sizes.length * 10_000 },
    probe: async () => true,
  };
  const template = loadTemplates().find(({ name }) => name === "node");
  if (!template) throw new Error("there is no template node");
  const owner = { id: `bench-${randomUUID().slice(0, 8)}`, login: "bench" };
  const records: ReplRecord[] = [];

  const add = async (): Promise<void> => {
    const replId = `repl-${randomUUID().slice(0, 13)}`;
    const session = { id: randomUUID().slice(0, 13), replId, userId: owner.id };
    const createdAt = new Date().toISOString();
    const lastSave = { generation: 1, version: "v", files: 1, bytes: 1, savedAt: createdAt };
    const record = { id: replId, name: "Bench", owner, template: "node", createdAt, lastSave };
    await registry.create({ ...record, sessionId: session.id });
    const plan = { repl: record, session, template, ticketKey: "{}", runnerToken: "" };
    const body = deploymentManifest(plan, settings);
    if (body.spec) body.spec.paused = true;
    await apps.createNamespacedDeployment({ namespace, body });
    await directory.reserve(record, session, ports.limits, "starting");
    records.push(record);
  };

  const run = async <T>(activity: (input: ReconcileInput) => Promise<T>, input: ReconcileInput): Promise<T> =>
    new MockActivityEnvironment().run(activity, input);
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  try {
    for (const size of sizes) {
      await mapConcurrently(Array.from({ length: size - records.length }), { items: concurrentPuts }, add);
      const floor = await measured(async () => {
        for await (const sessions of pagesOfSessions(cluster))
          await mapConcurrently(sessions, { items: concurrentReads }, ({ userId, replId }) =>
            registry.read(userId, replId),
          );
      });
      let seen = 0;
      const findings: string[] = [];
      const reconciled = await measured(async () => {
        for (let cursor: string | undefined; ;) {
          const page: SessionsReview = await run(createReviewSessions(ports), cursor === undefined ? {} : { cursor });
          seen += page.seen;
          findings.push(...page.findings);
          if (!page.next) break;
          cursor = page.next;
        }
        findings.push(...(await run(createReviewRemains(ports), { userId: owner.id })).findings);
      });
      if (seen !== size || findings.length > 0) throw new Error(`saw ${seen}: ${findings.slice(0, 3).join(", ")}`);
      print({ case: `floor: the same read once, ${size} sessions`, ...floor });
      print({ case: `one run, ${size} sessions`, ...reconciled, ratioToFloor: ratio(reconciled.ms, floor.ms) });
    }
  } finally {
    await store.purge(objectKey.records(owner.id));
    for (const { id } of records) await directory.forget(owner.id, id);
    redis.disconnect();
    await core.deleteNamespace({ name: namespace });
  }
}

/** How long it takes, and how much more than before lies in memory at most meanwhile. */
async function measured(work: () => Promise<void>): Promise<{ ms: number; heapMegabytes: number }> {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, process.memoryUsage().heapUsed)), sampleEveryMs);
  const began = performance.now();
  await work();
  clearInterval(sampling);
  return { ms: Math.round(performance.now() - began), heapMegabytes: Math.round((most - before) / 2 ** 20) };
}
