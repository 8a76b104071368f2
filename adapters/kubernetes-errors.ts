import * as k8s from "@kubernetes/client-node";
import { messageOf, ReplError } from "../domain/errors.ts";

const ends = new Set(["AbortError", "CancelledFailure"]);

/** What an error of the client means to us; what ended a call, or kept it from being made, is passed on as what it is. */
export function translateError(what: string, error: unknown): unknown {
  if (error instanceof ReplError) return error;
  if (error instanceof Error && ends.has(error.name)) return error;
  if (error instanceof k8s.ApiException) {
    if (error.code === 409)
      return new ReplError("unavailable", `${what}: changed by somebody else at the same time`, { cause: error });
    return new ReplError("unavailable", `${what}: the cluster answers ${error.code} (${statusMessage(error.body)})`, {
      cause: error,
    });
  }
  const cause = error instanceof Error && error.cause ? error.cause : error;
  return new ReplError("unavailable", `${what}: the cluster does not answer (${messageOf(cause)})`, { cause: error });
}

function statusMessage(body: unknown): string {
  try {
    const status = (typeof body === "string" ? JSON.parse(body) : body) as { message?: string };
    return status.message ?? "no reason given";
  } catch {
    return "no reason given";
  }
}
