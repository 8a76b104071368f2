import {
  ApplicationFailure,
  CancelledFailure,
  isGrpcServiceError,
  ServiceError,
  TerminatedFailure,
  type WorkflowFailedError,
} from "@temporalio/client";
import { isReplErrorCode, messageOf, ReplError } from "../domain/errors.ts";

/** Why a workflow did not succeed, as its caller reads it. */
export function outcomeOf(error: WorkflowFailedError): ReplError {
  const { cause } = error;
  if (cause instanceof CancelledFailure)
    return new ReplError("conflict", "It was cancelled, because the REPL was closed or deleted meanwhile.", { cause });
  if (cause instanceof TerminatedFailure)
    return new ReplError("unavailable", "An operator ended it. Try again.", { cause });
  if (cause instanceof ApplicationFailure && isReplErrorCode(cause.type))
    return new ReplError(cause.type, cause.message, { cause });
  return new ReplError("unavailable", cause?.message ?? "It did not succeed.", { cause });
}

/** Temporal itself did not answer; an error that is ours already stays as it is. */
export function unavailable(error: unknown): ReplError {
  if (error instanceof ReplError) return error;
  // The client wraps what gRPC said in words of its own ("Failed to start Workflow").
  const answer = error instanceof ServiceError ? error.cause : error;
  const reason = isGrpcServiceError(answer) ? answer.details : messageOf(answer ?? error);
  return new ReplError("unavailable", `The workflow service does not answer (${reason}). Try again in a moment.`, {
    cause: error,
  });
}
