import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { SavePlace } from "../domain/commit-save.ts";
import { ReplError } from "../domain/errors.ts";
import { closingMarker, keysFolder, reopeningMarker, syncFolder } from "../domain/naming.ts";
import { openRescuePlace } from "../domain/rescue.ts";
import type { LastSaveReport, SaveReport } from "../domain/save.ts";
import { exitCodes, lastWords, openPlace, openStore, sessionOf } from "./environment.ts";
import { clearMarker, here, isWhole, lock, setMarker } from "./here.ts";
import { saveInTries } from "./patient-save.ts";
import { saveWorkspace } from "./save.ts";
import { stopPrograms } from "./stop-programs.ts";

/** What an ephemeral container does in the pod of a session whose end has come, and to take that back. */

/** A checkpoint makes way as soon as it has stored the files that it is at. */
const lockTimeoutMs = 120_000;
const lockPauseMs = 20;
const reopenTimeoutMs = 20_000;
/** So long the last save waits for the end of the programs; then it is made beside them, and says so. */
const stopPatienceMs = 60_000;

/** Ends the programs and makes the last save of the session. */
export const save = () => saveLast((keys) => openPlace(keys), here);

/** Of a session that is not the writer any more, or that the registry does not have: what it holds goes where it harms nobody. */
export const rescue = () =>
  saveLast((keys) => openRescuePlace(openStore(keys), sessionOf()), {
    ...here,
    // What is known of the workspace is told by keys of the other place.
    knownFolder: `${syncFolder}/rescue`,
  });

async function saveLast(
  open: (folderOfKeys?: string) => SavePlace | Promise<SavePlace>,
  options: typeof here,
): Promise<number> {
  // What a broken restore left must never become the newest save.
  if (!isWhole()) return exitCodes.neverRestored;
  const started = performance.now();
  setMarker(closingMarker);
  const session = sessionOf();
  const stopBy = Date.now() + stopPatienceMs;
  let notStopped: string | undefined;
  const isTakenBack = () => existsSync(reopeningMarker) || !existsSync(closingMarker);
  const report: SaveReport = await saveInTries(async (attempt) => {
    if (isTakenBack()) throw new ReplError("conflict", "the close was taken back");
    notStopped = await stopPrograms(session.replId);
    if (notStopped && Date.now() < stopBy)
      throw new ReplError("unavailable", `the REPL's programs have not ended yet: ${notStopped}`);
    for (const giveUpAt = Date.now() + lockTimeoutMs; !lock(); await delay(lockPauseMs))
      if (Date.now() > giveUpAt) throw new ReplError("unavailable", "a checkpoint does not make way");
    if (!isWhole()) throw new ReplError("unavailable", "the save of another pod is being restored");
    // The environment has the keys of this container's start; the folder has new ones a minute after they were renewed.
    const keys = attempt % 2 === 0 && existsSync(keysFolder) ? keysFolder : undefined;
    return saveWorkspace(await open(keys), session, { ...options, kind: "close", mustGiveUp: isTakenBack });
  });
  const durationMs = Math.round(performance.now() - started);
  console.log(JSON.stringify({ event: "saved", ...report, durationMs }));
  lastWords({ generation: report.generation, ...(notStopped ? { notStopped } : {}) } satisfies LastSaveReport);
  return notStopped ? exitCodes.savedBesidePrograms : exitCodes.done;
}

/** The owner wants to go on, because a close does not come to its end: what is written from now on checkpoints save. */
export async function reopen(): Promise<number> {
  setMarker(reopeningMarker);
  try {
    for (const giveUpAt = Date.now() + reopenTimeoutMs; !lock(); await delay(lockPauseMs))
      if (Date.now() > giveUpAt) throw new ReplError("unavailable", "a save does not make way");
    clearMarker(closingMarker);
    return exitCodes.done;
  } finally {
    clearMarker(reopeningMarker);
  }
}
