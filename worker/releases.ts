import { setTimeout as delay } from "node:timers/promises";
import { isGrpcServiceError, type Client } from "@temporalio/client";
import proto from "@temporalio/proto";
import type { WorkerDeploymentOptions } from "@temporalio/worker";
import type { Logger } from "../config/logger.ts";
import { taskQueue } from "../domain/naming.ts";

/**
 * Which release of the workflows' code gets the work (Temporal's Worker Versioning, decision 0015). A workflow
 * stays with the release that began it; new ones begin on the current release.
 */

export const deploymentName = "devex";
const checkEveryMs = 10_000;
/** While a release looks as if it were gone. */
const lookAgainMs = 5000;
/** Absence is not believed at the first look: Temporal forgets who asked when one of its servers begins anew. */
const looksInVain = 3;
/** One that comes sooner tells nothing new. */
const betweenLooksMs = 4500;
/** Until Temporal has noticed that we poll, which takes less than a second. */
const firstChecksMs = 200;
/** Workers ask for work at least each minute; one that has not asked for longer is gone. */
const pollerGoneAfterMs = 75_000;
const grpcNotFound = 5;

export function versioningOf(buildId: string): WorkerDeploymentOptions {
  return {
    useWorkerVersioning: true,
    version: { deploymentName, buildId },
    defaultVersioningBehavior: "PINNED",
  };
}

/** What Temporal knows of our releases, by their build ids. */
export interface Releases {
  readonly current: string | undefined;
  /** Those that have a worker or had one. */
  readonly known: ReadonlySet<string>;
  /** Those that have been current at some time. */
  readonly released: ReadonlySet<string>;
  /** Those that are not known to be without a worker. */
  readonly served: ReadonlySet<string>;
}

/** Remembers which releases were seen to have a worker. */
export function createLooks() {
  let looks = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const seenAt = new Map<string, number>();
  const looksSince = (release: string) => looks - (seenAt.get(release) ?? 0);
  return {
    note(served: Iterable<string>, now: number): void {
      if (now - lookedAt >= betweenLooksMs) {
        looks++;
        lookedAt = now;
      }
      for (const release of served) seenAt.set(release, looks);
    },
    /** In several looks in a row no worker of it was seen. */
    isGone: (release: string): boolean => looksSince(release) >= looksInVain,
    /** Whether the next looks are to come soon: they decide whether one is gone. */
    isUndecided: (): boolean =>
      looks < looksInVain ||
      [...seenAt.keys()].some((release) => looksSince(release) > 0 && looksSince(release) < looksInVain),
  };
}

/**
 * A release becomes current when it is new; later only when nobody works for the current one any more. So a worker
 * of an old release that is started again changes nothing, and a roll-back needs no command.
 */
export function shouldBecomeCurrent(buildId: string, { current, known, released, served }: Releases): boolean {
  if (buildId === current || !known.has(buildId)) return false;
  return !released.has(buildId) || current === undefined || !served.has(current);
}

type Pause = (ms: number, signal: AbortSignal) => Promise<unknown>;
const sleep: Pause = (ms, signal) => delay(ms, undefined, { signal }).catch(() => {});

/** Looks after the release of one worker, until the signal. */
export function createReleases({
  client,
  buildId,
  logger,
  pause = sleep,
}: {
  readonly client: Client;
  readonly buildId: string;
  readonly logger: Logger;
  readonly pause?: Pause;
}) {
  const { workflowService } = client.connection;
  const { namespace } = client.options;
  const looks = createLooks();

  /** The parts of our task queue, of which each tells only who asks there: workers ask at any of them. */
  async function partitions(): Promise<readonly string[]> {
    const queue = { namespace, taskQueue: { name: taskQueue } };
    const listed = await workflowService.listTaskQueuePartitions(queue).catch(() => undefined);
    return [...new Set([taskQueue, ...(listed?.workflowTaskQueuePartitions ?? []).flatMap(({ key }) => key ?? [])])];
  }

  async function pollersOf(partition: string) {
    try {
      const { pollers } = await workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: partition },
        taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
      });
      return pollers ?? [];
    } catch (error) {
      if (partition === taskQueue) throw error;
      // A server that tells of the first one alone still tells of most workers, look by look.
      return [];
    }
  }

  /** The releases that a worker asks work for. */
  async function servedNow(): Promise<string[]> {
    const goneBefore = (Date.now() - pollerGoneAfterMs) / 1000;
    const pollers = (await Promise.all((await partitions()).map(pollersOf))).flat();
    return pollers
      .filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > goneBefore)
      .map(({ deploymentOptions }) => deploymentOptions?.buildId ?? "");
  }

  async function read(): Promise<{ releases: Releases; conflictToken?: Uint8Array }> {
    const [described, served] = await Promise.all([
      workflowService.describeWorkerDeployment({ namespace, deploymentName }).catch((error: unknown) => {
        const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
        if (code === grpcNotFound) return undefined;
        throw error;
      }),
      servedNow(),
    ]);
    looks.note(served, Date.now());
    const versions = described?.workerDeploymentInfo?.versionSummaries ?? [];
    const buildOf = (version: (typeof versions)[number]) => version.deploymentVersion?.buildId ?? "";
    const current = described?.workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId || undefined;
    const known = new Set(versions.map(buildOf));
    return {
      ...(described?.conflictToken ? { conflictToken: described.conflictToken } : {}),
      releases: {
        current,
        known,
        released: new Set(versions.filter((version) => version.firstActivationTime).map(buildOf)),
        served: new Set([...known, ...(current ? [current] : [])].filter((release) => !looks.isGone(release))),
      },
    };
  }

  const pinnedTo = (comparison: "=" | "!=") =>
    `ExecutionStatus="Running" AND TemporalWorkerDeployment="${deploymentName}" AND TemporalWorkerDeploymentVersion ${comparison} "${deploymentName}:${buildId}"`;

  /** Takes over workflows whose release has no worker left; they go on where they are, with our code. */
  async function adopt(): Promise<void> {
    for await (const execution of client.workflow.list({ query: pinnedTo("!=") })) {
      const release = execution.raw.versioningInfo?.deploymentVersion?.buildId ?? "";
      if (!looks.isGone(release)) continue;
      const { workflowId, runId } = execution;
      await workflowService.updateWorkflowExecutionOptions({
        namespace,
        workflowExecution: { workflowId, runId },
        workflowExecutionOptions: {
          versioningOverride: { oneTime: { targetDeploymentVersion: { deploymentName, buildId } } },
        },
        updateMask: { paths: ["versioning_override"] },
      });
      logger.info({ event: "release", workflowId, runId, from: release, to: buildId }, "a workflow was taken over");
    }
  }

  async function check(): Promise<boolean> {
    const { releases, conflictToken } = await read();
    if (shouldBecomeCurrent(buildId, releases)) {
      await workflowService.setWorkerDeploymentCurrentVersion({
        namespace,
        deploymentName,
        buildId,
        ...(conflictToken ? { conflictToken } : {}),
        ignoreMissingTaskQueues: true,
        identity: client.options.identity,
      });
      logger.info({ event: "release", from: releases.current, to: buildId }, "this release is current now");
      return true;
    }
    if (releases.current === buildId) await adopt();
    return releases.known.has(buildId);
  }

  return {
    /** Makes this release current when it is its turn, and takes over what other releases left. Ends with the signal. */
    async lookAfter(signal: AbortSignal): Promise<void> {
      let isSettled = false;
      while (!signal.aborted) {
        try {
          isSettled = await check();
        } catch (error) {
          if (signal.aborted) return;
          logger.warn({ event: "release", err: error }, "the release could not be looked after; trying again");
        }
        await pause(isSettled ? (looks.isUndecided() ? lookAgainMs : checkEveryMs) : firstChecksMs, signal);
      }
    },

    /** Waits until every workflow that began on this release has ended, unless it is the current one. */
    async untilDrained(signal: AbortSignal): Promise<void> {
      const { releases } = await read();
      if (releases.current === buildId) return;
      for (let left = -1; !signal.aborted;) {
        const { count } = await client.workflow.count(pinnedTo("="));
        if (count === 0) return;
        if (count !== left) logger.info({ event: "release", left: count }, "this release still has workflows to end");
        left = count;
        await pause(1000, signal);
      }
    },
  };
}
