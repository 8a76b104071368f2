import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from "@temporalio/workflow";

/** The sentence a user may read about why a step failed. */
export function reasonOf(error: unknown): string {
  if (isCancellation(error)) return "It was cancelled.";
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) return cause.cause instanceof Error ? cause.cause.message : "It took too long.";
  return cause instanceof Error ? cause.message : String(cause);
}

/** Ends a workflow with the code of its failed step, so that whoever reads the workflow's own failure sees it. */
export function asOutcome(error: unknown): unknown {
  if (isCancellation(error)) return error;
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const type = cause instanceof ApplicationFailure && cause.type && cause.type !== "Error" ? cause.type : "unavailable";
  return ApplicationFailure.create({
    type,
    message: reasonOf(error),
    nonRetryable: true,
    ...(error instanceof Error ? { cause: error } : {}),
  });
}
