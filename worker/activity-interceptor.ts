import type { Context } from "@temporalio/activity";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";
import { toFailure } from "../activities/failure.ts";
import type { SessionsReview } from "../activities/inputs.ts";
import type { Logger } from "../config/logger.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { stepTitles } from "../domain/events.ts";
import type { ReplEvents } from "../domain/ports.ts";
import type { SaveSummary } from "../domain/save.ts";
import type { WorkerMetrics } from "./metrics.ts";

/** One line, one count and one event per attempt of an activity, and one place where our errors become Temporal's. */
export function createActivityInterceptor(
  logger: Logger,
  events: Pick<ReplEvents, "publish">,
  metrics: Pick<WorkerMetrics, "countDone" | "countFailed" | "countSave" | "countOrphans">,
): ActivityInterceptorsFactory {
  return (context: Context) => ({
    inbound: {
      async execute(input, next) {
        const started = performance.now();
        const { activityType, attempt, workflowExecution } = context.info;
        const replId = replIdOf(input.args[0]);
        const line = {
          event: "activity",
          activity: activityType,
          attempt,
          replId,
          workflowId: workflowExecution?.workflowId,
          runId: workflowExecution?.runId,
        };
        const durationMs = () => Math.round(performance.now() - started);
        const title = stepTitles[activityType];
        const tell = (state: "started" | "done" | "failed", more: { durationMs?: number; reason?: string } = {}) => {
          if (!replId || !title) return;
          const at = new Date().toISOString();
          events.publish(replId, { type: "step", at, step: activityType, title, state, attempt, ...more });
        };
        tell("started");
        try {
          const result = await next(input);
          logger.info({ ...line, outcome: "ok", durationMs: durationMs() });
          metrics.countDone(activityType, durationMs() / 1000);
          if (activityType === "saveWorkspace") metrics.countSave(result as SaveSummary);
          if (activityType === "reviewSessions") metrics.countOrphans((result as SessionsReview).orphansSeen ?? 0);
          tell("done", { durationMs: durationMs() });
          return result;
        } catch (error) {
          logger.warn({ ...line, outcome: "failed", durationMs: durationMs(), reason: messageOf(error) });
          metrics.countFailed(activityType, durationMs() / 1000, error);
          tell("failed", {
            durationMs: durationMs(),
            ...(error instanceof ReplError ? { reason: error.message } : {}),
          });
          throw toFailure(error);
        }
      },
    },
  });
}

/** Every input of ours names its REPL in one of these places. */
function replIdOf(input: unknown): string | undefined {
  const { replId, session, repl } = (input ?? {}) as {
    replId?: string;
    session?: { replId?: string };
    repl?: { id?: string };
  };
  return replId ?? session?.replId ?? repl?.id;
}
