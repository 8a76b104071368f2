import { ScheduleAlreadyRunning } from "@temporalio/client";
import { createTemporalClient } from "../adapters/temporal-client.ts";
import type { Config } from "../config/config.ts";
import { taskQueue } from "../domain/naming.ts";

/** Makes sure that what runs by the clock does. May be repeated, by any number of workers; what an operator has paused or changed stays so. */
export async function ensureSchedules(config: Config): Promise<void> {
  const { client, connection } = createTemporalClient({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
  });
  try {
    await client.schedule.create({
      scheduleId: "prune-saves",
      spec: { intervals: [{ every: "1 hour" }], jitter: "10 minutes" },
      policies: { overlap: "SKIP" },
      action: {
        type: "startWorkflow",
        workflowType: "pruneSaves",
        workflowId: "prune-saves",
        taskQueue,
        args: [],
        staticSummary: "Remove saves that the retention does not keep",
      },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  } finally {
    await connection.close();
  }
}
