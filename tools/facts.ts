import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { connectToRedis } from "../adapters/redis-connection.ts";
import { createPostgresRegistry } from "../adapters/postgres-registry.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createTemporalClient, runningReplWorkflows } from "../adapters/temporal-client.ts";
import { withinTime } from "../adapters/within-time.ts";
import type { Config } from "../config/config.ts";
import { objectStoreOptions, temporalOptions } from "../config/settings.ts";
import { pagesOfSessions } from "../domain/all-sessions.ts";
import { findRemains, newestOf, type Remains } from "../domain/bucket-remains.ts";
import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf } from "../domain/errors.ts";
import type { ReplFacts, RunningWorkflow } from "../domain/invariants.ts";
import { missingFiles } from "../domain/missing-files.ts";
import { workflowIdOf } from "../domain/naming.ts";
import { createObjectStoreRegistry } from "../domain/object-store-registry.ts";
import type { Cluster, ObjectStore, Registry, ReplDirectory, RunningSession } from "../domain/ports.ts";
import { readSave } from "../domain/read-save.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";
import { createReadTruth } from "../domain/truth.ts";

const concurrentRepls = 8;
const workflowPrefix = workflowIdOf("");

/** Who is asked. */
export type Source = "the object store" | "Postgres" | "the cluster" | "Redis" | "Temporal";

export type Witness = Awaited<ReturnType<typeof openWitness>>;

/** What facts may take long for. */
interface Thoroughness {
  /** Looks for every file of each newest save, where it is a sample of them otherwise. */
  readonly isDeep?: boolean;
  /** Looks for what lies in the bucket without a record. */
  readonly ofBucket?: boolean;
}

/** So long a source may take to answer. */
const patienceMs = 10_000;

interface Sources {
  readonly store: ObjectStore;
  readonly registry: Registry;
  readonly registrySource: Source;
  readonly cluster: Pick<Cluster, "pageOfSessions" | "remains">;
  readonly directory: Pick<ReplDirectory, "activeSession" | "marks" | "reports">;
  readonly client: Client;
}

/**
 * Reads what a live system says of its REPLs, and changes nothing but look-ups that were flushed. A source that does
 * not answer keeps nobody from what the others know: it is named in `silent`, and what it would have said is missing.
 */
export async function openWitness(config: Config) {
  const store = createS3ObjectStore(objectStoreOptions(config));
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });
  const redis = connectToRedis(config.REDIS_URL);
  const database = config.DATABASE_URL ? createPostgresRegistry(config.DATABASE_URL) : undefined;
  const registry = database ?? createObjectStoreRegistry(store);
  const registrySource: Source = database ? "Postgres" : "the object store";
  const readTruth = createReadTruth(registry, cluster, config.RUNNER_URL);
  const directory = createRedisReplDirectory(redis, { sessionTtlSeconds: config.MAX_LIFETIME, readTruth });
  const { client, connection } = createTemporalClient(temporalOptions(config), config.TEMPORAL_NAMESPACE);
  return {
    ...createWitness({ store, registry, registrySource, cluster, directory, client }),
    async close(): Promise<void> {
      redis.disconnect();
      await database?.close();
      await connection.close();
    },
  };
}

export function createWitness({ store, registry, registrySource, cluster, directory, client }: Sources) {
  const silent = new Map<Source, string>();

  async function ask<T>(source: Source, read: () => Promise<T>, otherwise: T): Promise<T> {
    if (silent.has(source)) return otherwise;
    try {
      return await withinTime(patienceMs, read);
    } catch (error) {
      silent.set(source, `${source} does not answer: ${messageOf(error)}`);
      return otherwise;
    }
  }

  /** However long it takes: that is a page for each owner. */
  async function inBucket<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await read();
    } catch (error) {
      silent.set("the object store", `the object store does not answer: ${messageOf(error)}`);
      return otherwise;
    }
  }

  /** By id; one that cannot be read is named in `broken`. */
  async function recordsOf(isChosen: (replId: string) => boolean) {
    const names = (await registry.names()).filter(({ replId }) => isChosen(replId));
    const records = new Map<string, ReplRecord>();
    const broken = new Map<string, string>();
    await mapConcurrently(names, { items: concurrentRepls }, async ({ userId, replId }) => {
      try {
        const record = await registry.read(userId, replId);
        if (record) records.set(replId, record);
      } catch (error) {
        broken.set(replId, `its record cannot be read: ${messageOf(error)}`);
      }
    });
    return { records, broken };
  }

  async function allSessions(): Promise<Map<string, RunningSession>> {
    const all = new Map<string, RunningSession>();
    for await (const page of pagesOfSessions(cluster)) for (const session of page) all.set(session.replId, session);
    return all;
  }

  async function runningWorkflows(): Promise<Map<string, RunningWorkflow>> {
    const all = new Map<string, RunningWorkflow>();
    for await (const { workflowId, type, startTime } of client.workflow.list({ query: runningReplWorkflows }))
      all.set(workflowId.slice(workflowPrefix.length), { type, startedAt: startTime.toISOString() });
    return all;
  }

  /** The owners of REPLs that look-ups take for open. */
  async function markedSessions(): Promise<Map<string, string>> {
    const all = new Map<string, string>();
    for await (const page of directory.marks()) for (const { replId, userId } of page) all.set(replId, userId);
    return all;
  }

  /** What is wrong with the newest save, if it is still the newest one then. */
  async function wrongOfSave(record: ReplRecord, isDeep: boolean): Promise<Pick<ReplFacts, "broken" | "missing">> {
    const wrong = await lookAtSave(record, isDeep);
    if (!wrong.broken && !wrong.missing?.length) return {};
    const now = await registry.read(record.owner.id, record.id).catch(() => record);
    return now?.lastSave?.version === record.lastSave?.version && now ? wrong : {};
  }

  async function lookAtSave(record: ReplRecord, isDeep: boolean): Promise<Pick<ReplFacts, "broken" | "missing">> {
    if (!record.lastSave) return { broken: "it has no save" };
    try {
      return { missing: await missingFiles(store, await readSave(store, record.id, record.lastSave), isDeep) };
    } catch (error) {
      return { broken: `its newest save cannot be read: ${messageOf(error)}` };
    }
  }

  /** What lies in the bucket of nobody, told by what `isRecorded` says after it was found; it may take long. */
  async function leftInBucket(found: readonly Remains[], isRecorded: (replId: string) => boolean) {
    const left = new Map<string, NonNullable<ReplFacts["left"]>>();
    await mapConcurrently(found, { items: concurrentRepls }, async (remains) => {
      if (isRecorded(remains.replId)) return;
      const newest = await newestOf(store, remains);
      if (newest) left.set(remains.replId, { prefixes: remains.prefixes, newestAt: newest.toISOString() });
    });
    return left;
  }

  async function history(replId: string, limit: number): Promise<string[]> {
    const lines: string[] = [];
    for await (const run of client.workflow.list({ query: `WorkflowId="${workflowIdOf(replId)}"` })) {
      const ended = run.closeTime ? ` until ${run.closeTime.toISOString()}` : "";
      lines.push(`${run.type} ${run.status.name} from ${run.startTime.toISOString()}${ended}  (run ${run.runId})`);
      if (lines.length === limit) break;
    }
    return lines;
  }

  async function pending(replId: string): Promise<string[]> {
    const handle = client.workflow.getHandle(workflowIdOf(replId));
    const description = await handle.describe().catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    });
    return (description?.raw.pendingActivities ?? []).map(
      ({ activityType, attempt, lastFailure }) =>
        `${activityType?.name}, attempt ${attempt}${lastFailure?.message ? `: ${lastFailure.message}` : ""}`,
    );
  }

  return {
    /** Of every REPL that anything knows of, or of some. */
    async facts(
      isChosen: (replId: string) => boolean = () => true,
      { isDeep = false, ofBucket = false }: Thoroughness = {},
    ): Promise<ReplFacts[]> {
      // Before the rest: a REPL that comes or goes meanwhile is then known by its record, workflow or deletion.
      const found = ofBucket ? await inBucket(() => findRemains(store, (replId) => !isChosen(replId)), []) : [];
      const [{ records, broken }, sessions, workflows, deletions] = await Promise.all([
        ask(registrySource, () => recordsOf(isChosen), { records: new Map(), broken: new Map() }),
        ask("the cluster", allSessions, new Map()),
        ask("Temporal", runningWorkflows, new Map()),
        ask(registrySource, async () => new Set((await registry.deletions()).map(({ replId }) => replId)), new Set()),
      ]);
      const marked = await ask("Redis", markedSessions, new Map());
      const isRecorded = (replId: string) => records.has(replId) || broken.has(replId);
      const left = await inBucket(() => leftInBucket(found, isRecorded), new Map());
      const ids = new Set([
        ...records.keys(),
        ...broken.keys(),
        ...sessions.keys(),
        ...workflows.keys(),
        ...marked.keys(),
        ...deletions,
        ...left.keys(),
      ]);
      return mapConcurrently([...ids].filter(isChosen), { items: concurrentRepls }, async (replId) => {
        const [record, session] = [records.get(replId), sessions.get(replId)];
        const userId = record?.owner.id ?? session?.userId ?? marked.get(replId);
        const unread = broken.get(replId);
        return {
          replId,
          record,
          session,
          ...(record ? await wrongOfSave(record, isDeep) : unread ? { broken: unread } : {}),
          left: left.get(replId),
          known:
            userId === undefined
              ? undefined
              : await ask("Redis", () => directory.activeSession(userId, replId), undefined),
          isBeingDeleted: deletions.has(replId),
          workflow: workflows.get(replId),
        };
      });
    },
    remains: () => ask("the cluster", () => cluster.remains(), []),
    /** What could not be asked, and why. */
    silent: (): ReadonlyMap<Source, string> => silent,
    /** The newest runs of a REPL's workflows, newest first. */
    history: (replId: string, limit: number) => ask("Temporal", () => history(replId, limit), []),
    /** What the running workflow is at, and why its pending activities fail. */
    pending: (replId: string) => ask("Temporal", () => pending(replId), []),
    reports: (sessions: readonly Session[]) => ask("Redis", () => directory.reports(sessions), []),
  };
}
