import { fileURLToPath } from "node:url";
import { Worker, type NativeConnection, type WorkerOptions } from "@temporalio/worker";
import type { Activities } from "../activities/index.ts";
import type { Logger } from "../config/logger.ts";
import { taskQueue } from "../domain/naming.ts";
import type { ReplEvents } from "../domain/ports.ts";
import { createActivityInterceptor } from "./activity-interceptor.ts";

export const workflowsPath = fileURLToPath(new URL("../workflows/index.ts", import.meta.url));

interface CreateWorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly activities: Activities;
  readonly logger: Logger;
  readonly events: Pick<ReplEvents, "publish">;
  readonly workflowBundle?: WorkerOptions["workflowBundle"];
}

/** A worker as production runs it; tests use the same with other activities. */
export function createWorker({
  connection,
  namespace,
  activities,
  logger,
  events,
  workflowBundle,
}: CreateWorkerOptions): Promise<Worker> {
  return Worker.create({
    connection,
    namespace,
    taskQueue,
    activities,
    ...(workflowBundle ? { workflowBundle } : { workflowsPath }),
    interceptors: { activity: [createActivityInterceptor(logger, events)] },
    // Heartbeats carry a cancellation back: a close while starting should not wait for the default of 8 s.
    maxHeartbeatThrottleInterval: "1 second",
    shutdownGraceTime: "20 seconds",
    shutdownForceTime: "40 seconds",
  });
}
