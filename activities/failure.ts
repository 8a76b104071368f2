import { ApplicationFailure } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";

/**
 * What Temporal should make of an error: a ReplError becomes a failure whose type is its code, final unless
 * it is `unavailable`; anything else is passed on and retried.
 */
export function toFailure(error: unknown): unknown {
  if (!(error instanceof ReplError)) return error;
  const cause = error.cause instanceof Error ? { cause: error.cause } : {};
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: error.code !== "unavailable",
    ...cause,
  });
}

/** For what is told to the look-ups alone: while they are away, the truth has changed all the same. Throws any other error. */
export function ifUnavailable(error: unknown): undefined {
  if (error instanceof ReplError && error.code === "unavailable") return undefined;
  throw error;
}
