import { ReplError } from "../domain/errors.ts";
import type { NothingSaved, SaveAttempt } from "../domain/ports.ts";
import { failureReported } from "../domain/save.ts";

/** Exit code of a save container when another session has become the writer: there is nothing left to save for this one. */
const supersededExitCode = 3;
/** The container found a workspace that was never filled: nobody has written anything there. */
const neverRestoredExitCode = 4;

/**
 * Whether a container saved. False when it is certain that there is nothing in a pod to save; throws `conflict` where
 * another session is the writer, `unavailable` while there may be something that is not saved.
 */
export function hasSaved(attempt: SaveAttempt | NothingSaved): boolean {
  if ("nothing" in attempt) {
    if (attempt.nothing === "never filled" || attempt.nothing === "gone") return false;
    throw new ReplError("unavailable", attempt.detail);
  }
  const { container, exitCode, message } = attempt;
  if (exitCode === 0) return true;
  if (exitCode === neverRestoredExitCode) return false;
  if (exitCode === supersededExitCode)
    throw new ReplError("conflict", `${container}: another session is the writer now`);
  throw new ReplError("unavailable", `${container} ended with exit code ${exitCode}: ${failureReported(message)}`);
}
