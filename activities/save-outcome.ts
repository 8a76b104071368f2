import { ReplError } from "../domain/errors.ts";
import type { NothingSaved, SaveAttempt } from "../domain/ports.ts";
import { describeNotStopped, failureReported, saveReported, type SaveSummary } from "../domain/save.ts";

/** Exit code of a save container when another session has become the writer: there is nothing left to save for this one. */
const supersededExitCode = 3;
/** It has saved, and could not prove that the REPL's programs had ended before. */
const savedBesideProgramsExitCode = 5;
/** The container found a workspace that was never filled: nobody has written anything there. */
const neverRestoredExitCode = 4;

/** What it could not wait for, in words; undefined where it saved after the programs' end. */
export function describeSavedBeside(attempt: SaveAttempt | NothingSaved, save: SaveSummary): string | undefined {
  if ("nothing" in attempt) return undefined;
  const report = saveReported(attempt.message);
  // A release that knew no such exit code has it in its words alone.
  const wasBeside = attempt.exitCode === savedBesideProgramsExitCode || report?.notStopped !== undefined;
  return wasBeside ? describeNotStopped(report, save) : undefined;
}

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
  if (exitCode === 0 || exitCode === savedBesideProgramsExitCode) return true;
  if (exitCode === neverRestoredExitCode) return false;
  if (exitCode === supersededExitCode)
    throw new ReplError("conflict", `${container}: another session is the writer now`);
  throw new ReplError("unavailable", `${container} ended with exit code ${exitCode}: ${failureReported(message)}`);
}
