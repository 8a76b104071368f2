import { fileURLToPath } from "node:url";
import { Worker, type NativeConnection, type WorkerPlugin } from "@temporalio/worker";
import type { Activities } from "../activities/index.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../config/logger.ts";
import { taskQueue } from "../domain/naming.ts";
import type { ReplEvents } from "../domain/ports.ts";
import { createActivityInterceptor } from "./activity-interceptor.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { versioningOf } from "./releases.ts";

export const workflowsPath = fileURLToPath(new URL("../workflows/index.ts", import.meta.url));

/** The bundle's workflows tell of their spans, traced or not. */
export const spansToNobody = { exporter: { export: { fn: () => {} } } };

interface CreateWorkerOptions {
  readonly connection: NativeConnection;
  readonly config: Config;
  readonly activities: Activities;
  readonly logger: Logger;
  readonly events: Pick<ReplEvents, "publish">;
  readonly metrics: WorkerMetrics;
  readonly plugins?: WorkerPlugin[];
}

/** A worker of this release. It bounds what all of them ask of the API server and the object store at once. */
export function createWorker({
  connection,
  config,
  activities,
  logger,
  events,
  metrics,
  plugins = [],
}: CreateWorkerOptions): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    taskQueue,
    activities,
    plugins,
    ...(config.WORKFLOW_BUNDLE ? { workflowBundle: { codePath: config.WORKFLOW_BUNDLE } } : { workflowsPath }),
    // A plugin that traces has its own in this place.
    sinks: spansToNobody,
    workerDeploymentOptions: versioningOf(config.BUILD_ID),
    interceptors: { activity: [createActivityInterceptor(logger, events, metrics)] },
    maxConcurrentActivityTaskExecutions: config.MAX_ACTIVITIES,
    maxTaskQueueActivitiesPerSecond: config.MAX_ACTIVITIES_PER_SECOND,
    // Heartbeats carry a cancellation back: a close while starting should not wait for the default of 8 s.
    maxHeartbeatThrottleInterval: "1 second",
    shutdownGraceTime: "20 seconds",
    shutdownForceTime: "40 seconds",
  });
}
