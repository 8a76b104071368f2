import type { Context } from "@temporalio/activity";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";
import { toFailure } from "../activities/failure.ts";
import type { Logger } from "../config/logger.ts";
import { messageOf } from "../domain/errors.ts";

/** One line per attempt of an activity, and one place where our errors become Temporal's. */
export function createActivityInterceptor(logger: Logger): ActivityInterceptorsFactory {
  return (context: Context) => ({
    inbound: {
      async execute(input, next) {
        const started = performance.now();
        const { activityType, attempt, workflowExecution } = context.info;
        const line = {
          event: "activity",
          activity: activityType,
          attempt,
          workflowId: workflowExecution?.workflowId,
          runId: workflowExecution?.runId,
        };
        const durationMs = () => Math.round(performance.now() - started);
        try {
          const result = await next(input);
          logger.info({ ...line, outcome: "ok", durationMs: durationMs() });
          return result;
        } catch (error) {
          logger.warn({ ...line, outcome: "failed", durationMs: durationMs(), reason: messageOf(error) });
          throw toFailure(error);
        }
      },
    },
  });
}
