import { ScheduleAlreadyRunning, type ScheduleClient, type ScheduleOptions } from "@temporalio/client";
import { createTemporalClient } from "../adapters/temporal-client.ts";
import type { Config } from "../config/config.ts";
import { temporalOptions } from "../config/settings.ts";
import { taskQueue } from "../domain/naming.ts";

type Schedules = Pick<ScheduleClient, "create" | "getHandle">;

interface Clockwork {
  /** Also the id of its workflows. */
  readonly id: string;
  readonly workflow: string;
  readonly summary: string;
  readonly spec: ScheduleOptions["spec"];
  /** After this a run is ended: while one is under way no other begins, and a stuck one would be the last. */
  readonly longestRun: "30 minutes" | "12 hours";
}

const clockworks = ({ RECONCILE_SECONDS }: Pick<Config, "RECONCILE_SECONDS">): readonly Clockwork[] => [
  {
    id: "reconcile-repls",
    workflow: "reconcileRepls",
    summary: "End what is idle or half-ended, remove what is left over",
    spec: { intervals: [{ every: `${RECONCILE_SECONDS} seconds` }] },
    longestRun: "30 minutes",
  },
  {
    // By itself, because it may take hours, in which nobody may stay open who is idle.
    id: "prune-saves",
    workflow: "pruneSaves",
    summary: "Remove saves that the retention does not keep",
    spec: { intervals: [{ every: "1 hour" }], jitter: "10 minutes" },
    longestRun: "12 hours",
  },
];

/**
 * Makes sure that what runs by the clock does, as this configuration says. May be repeated, by any number of workers.
 * What an operator has paused stays so, and what they have changed until the configuration is another one.
 */
export async function ensureSchedules(config: Config): Promise<void> {
  const { client, connection } = createTemporalClient(temporalOptions(config), config.TEMPORAL_NAMESPACE);
  try {
    await ensureSchedulesOn(client.schedule, config);
  } finally {
    await connection.close();
  }
}

export async function ensureSchedulesOn(
  schedules: Schedules,
  config: Pick<Config, "RECONCILE_SECONDS">,
): Promise<void> {
  for (const clockwork of clockworks(config)) {
    const wanted = optionsOf(clockwork);
    await schedules.create({ scheduleId: clockwork.id, ...wanted }).catch((error: unknown) => {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      return bringUpToDate(schedules, clockwork.id, wanted);
    });
  }
}

type WantedOptions = ReturnType<typeof optionsOf>;

function optionsOf({ id, workflow, summary, spec, longestRun }: Clockwork) {
  // A run that takes longer than the interval comes to its end all the same: the next one does not end it.
  const policies = { overlap: "SKIP" } as const;
  const action = {
    type: "startWorkflow",
    workflowType: workflow,
    workflowId: id,
    workflowRunTimeout: longestRun,
    taskQueue,
    args: [],
    staticSummary: summary,
  } as const;
  // Kept with the schedule, because the server describes it in other words, and an operator may have changed it.
  const configured = JSON.stringify({ spec, policies, action });
  return { spec, policies, action: { ...action, memo: { configured } } };
}

async function bringUpToDate(schedules: Schedules, id: string, wanted: WantedOptions): Promise<void> {
  const handle = schedules.getHandle(id);
  const { action } = await handle.describe();
  if (action.memo?.["configured"] === wanted.action.memo.configured) return;
  await handle.update(({ state: { paused, note, remainingActions } }) => ({
    ...wanted,
    state: {
      paused,
      ...(note === undefined ? {} : { note }),
      ...(remainingActions === undefined ? {} : { remainingActions }),
    },
  }));
}
