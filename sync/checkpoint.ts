import type { SavePlace } from "../domain/commit-save.ts";
import type { Session } from "../domain/repl.ts";
import type { SaveReport } from "../domain/save.ts";
import { createBigFiles, type BigFiles } from "./big-files.ts";
import { saveWorkspace, type SaveOptions } from "./save.ts";

export interface CheckpointOptions extends Omit<SaveOptions, "kind" | "bigFiles"> {
  readonly bigFiles?: BigFiles;
  /** So long it waits for big files before it saves what has changed beside them. */
  readonly pauseMs?: number;
  readonly onSave: (report: SaveReport) => void;
}

const standardPauseMs = 10_000;

/**
 * Saves a workspace in which people work. Big files are uploaded once, however they change meanwhile; what is small is
 * saved beside them, again and again while that takes long.
 */
export async function checkpointWorkspace(
  place: SavePlace,
  session: Session,
  { bigFiles = createBigFiles(), pauseMs = standardPauseMs, onSave, ...options }: CheckpointOptions,
): Promise<void> {
  for (;;) {
    const report = await saveWorkspace(place, session, { ...options, kind: "checkpoint", bigFiles });
    onSave(report);
    if (!report.underWay) return;
    await bigFiles.wait(pauseMs);
  }
}
