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
  /** Those that a worker asks work for now. */
  readonly served: ReadonlySet<string>;
}

/**
 * A release becomes current when it is new; later only when nobody works for the current one any more. So a worker
 * of an old release that is started again changes nothing, and a roll-back needs no command.
 */
export function shouldBecomeCurrent(buildId: string, { current, known, released, served }: Releases): boolean {
  if (buildId === current || !known.has(buildId)) return false;
  return !released.has(buildId) || current === undefined || !served.has(current);
}

/** Looks after the release of one worker, until the signal. */
export function createReleases({
  client,
  buildId,
  logger,
}: {
  readonly client: Client;
  readonly buildId: string;
  readonly logger: Logger;
}) {
  const { workflowService } = client.connection;
  const { namespace } = client.options;

  async function read(): Promise<{ releases: Releases; conflictToken?: Uint8Array }> {
    const [described, queue] = await Promise.all([
      workflowService.describeWorkerDeployment({ namespace, deploymentName }).catch((error: unknown) => {
        const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
        if (code === grpcNotFound) return undefined;
        throw error;
      }),
      workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: taskQueue },
        taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
      }),
    ]);
    const versions = described?.workerDeploymentInfo?.versionSummaries ?? [];
    const buildOf = (version: (typeof versions)[number]) => version.deploymentVersion?.buildId ?? "";
    const goneBefore = Date.now() / 1000 - pollerGoneAfterMs / 1000;
    return {
      ...(described?.conflictToken ? { conflictToken: described.conflictToken } : {}),
      releases: {
        current: described?.workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId || undefined,
        known: new Set(versions.map(buildOf)),
        released: new Set(versions.filter((version) => version.firstActivationTime).map(buildOf)),
        served: new Set(
          (queue.pollers ?? [])
            .filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > goneBefore)
            .map(({ deploymentOptions }) => deploymentOptions?.buildId ?? ""),
        ),
      },
    };
  }

  const pinnedTo = (comparison: "=" | "!=") =>
    `ExecutionStatus="Running" AND TemporalWorkerDeployment="${deploymentName}" AND TemporalWorkerDeploymentVersion ${comparison} "${deploymentName}:${buildId}"`;

  /** Takes over workflows whose release has no worker left; they go on where they are, with our code. */
  async function adopt({ served }: Releases): Promise<void> {
    for await (const execution of client.workflow.list({ query: pinnedTo("!=") })) {
      const release = execution.raw.versioningInfo?.deploymentVersion?.buildId ?? "";
      if (served.has(release)) continue;
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
    if (releases.current === buildId) await adopt(releases);
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
        await delay(isSettled ? checkEveryMs : firstChecksMs, undefined, { signal }).catch(() => {});
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
        await delay(1000, undefined, { signal }).catch(() => {});
      }
    },
  };
}
