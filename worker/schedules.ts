import { ScheduleAlreadyRunning, type ScheduleOptions } from "@temporalio/client";
import { createTemporalClient } from "../adapters/temporal-client.ts";
import type { Config } from "../config/config.ts";
import { temporalOptions } from "../config/settings.ts";
import { taskQueue } from "../domain/naming.ts";

interface Clockwork {
  /** Also the id of its workflows. */
  readonly id: string;
  readonly workflow: string;
  readonly summary: string;
  readonly spec: ScheduleOptions["spec"];
}

/** Makes sure that what runs by the clock does. May be repeated, by any number of workers; what an operator has paused or changed stays so. */
export async function ensureSchedules(config: Config): Promise<void> {
  const { client, connection } = createTemporalClient(temporalOptions(config), config.TEMPORAL_NAMESPACE);
  const all: readonly Clockwork[] = [
    {
      id: "reconcile-repls",
      workflow: "reconcileRepls",
      summary: "End what is idle or half-ended, remove what is left over",
      spec: { intervals: [{ every: `${config.RECONCILE_SECONDS} seconds` }] },
    },
    {
      // By itself, because it may take hours, in which nobody may stay open who is idle.
      id: "prune-saves",
      workflow: "pruneSaves",
      summary: "Remove saves that the retention does not keep",
      spec: { intervals: [{ every: "1 hour" }], jitter: "10 minutes" },
    },
  ];
  try {
    for (const { id, workflow, summary, spec } of all)
      await client.schedule
        .create({
          scheduleId: id,
          spec,
          policies: { overlap: "SKIP" },
          action: {
            type: "startWorkflow",
            workflowType: workflow,
            workflowId: id,
            taskQueue,
            args: [],
            staticSummary: summary,
          },
        })
        .catch((error: unknown) => {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        });
  } finally {
    await connection.close();
  }
}
