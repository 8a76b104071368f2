import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { messageOf, ReplError } from "../domain/errors.ts";
import {
  closingMarker,
  handedOverMarker,
  refillingMarker,
  restoredMarker,
  saveStatusFile,
  syncFolder,
  workspaceFolder,
} from "../domain/naming.ts";
import { describeNotSaved, type SaveStatus } from "../domain/save.ts";
import { bootId } from "./boot.ts";
import { checkpointWorkspace } from "./checkpoint.ts";
import { exitCodes, lastWords, openPlace, required, sessionOf } from "./environment.ts";
import { here, isWhole, lock, prepareMarkers } from "./here.ts";
import { readKnownTree } from "./known-tree.ts";
import { reopen, rescue, save } from "./last-save.ts";
import { writeToDisk } from "./native.ts";
import { saveInTries } from "./patient-save.ts";
import { startReporting } from "./report.ts";
import { holdAgain, restoreWorkspace, type RestoreProgress } from "./restore.ts";
import { isSaved, type SaveOptions } from "./save.ts";
import { inFew, unsavedAfter } from "./save-report.ts";
import { runnerHasEnded } from "./stop-programs.ts";

const usage = `usage: sync restore | checkpoint | hand-over | resume | save | rescue | reopen
  restore      fills the workspace with the newest save, then waits
  checkpoint   saves the workspace if it has changed, and ends
  hand-over    the same, when the pod ends: then another pod of the session may begin with what was saved
  resume       holds the files again, in a pod that lives on after it has handed over
  save         ends the REPL's programs and makes the last save of the session
  rescue       the same for a session that may not save any more: into a place of its own
  reopen       ends a save that does not come to its end, and lets people in again
with REPL_ID, SESSION_ID, USER_ID and S3_* in the environment; SAVE_POINTER=api where the
registry is asked through the API, with DEVEX_API_URL and DEVEX_RUNNER_TOKEN`;

const maximumWords = 1000;
/** The grace of a pod is 30 s, less the time that its runner takes to end. */
const handOverLimits = { patienceMs: 25_000, firstPauseMs: 200, longestPauseMs: 2000 };
/** The kubelet ends us only when the runner has ended; where the pod's grace was too short for that, it may write still. */
const runnerEndMs = 10_000;
/** A checkpoint that is told to end sees that between two parts of a file; one that is stuck in one does not. */
const makeWayMs = 3000;
const progressEveryMs = 1000;

const commands = {
  restore,
  checkpoint,
  "hand-over": handOver,
  resume,
  save,
  rescue,
  reopen,
} as const;

async function main(): Promise<number> {
  const name = process.argv[2] ?? "";
  if (!Object.hasOwn(commands, name)) {
    console.error(usage);
    return exitCodes.usage;
  }
  try {
    return await commands[name as keyof typeof commands]();
  } catch (error) {
    lastWords({ error: messageOf(error).slice(0, maximumWords) });
    return error instanceof ReplError && error.code === "conflict" ? exitCodes.superseded : exitCodes.failed;
  }
}

async function restore(): Promise<number> {
  // A restarted container finds its work done, and must not do it again over what the user has written since.
  if (!isWhole() && !existsSync(refillingMarker)) await fill();
  return idle();
}

async function fill(): Promise<void> {
  const started = performance.now();
  let told = 0;
  const tell = (progress: RestoreProgress) => {
    if (performance.now() - told < progressEveryMs) return;
    told = performance.now();
    console.log(JSON.stringify({ event: "restoring", ...progress }));
  };
  const restored = await restoreWorkspace(openPlace(), sessionOf(), { ...here, onProgress: tell });
  console.log(JSON.stringify({ event: "restored", ...restored, durationMs: Math.round(performance.now() - started) }));
  prepareMarkers();
  writeFileSync(restoredMarker, JSON.stringify({ ...restored, boot: bootId() }));
  // Nobody waits for it: what a crash takes before that, the next save notices.
  writeToDisk(workspaceFolder);
}

/** Nobody has been let in since the hand-over. Another pod may have been the holder meanwhile, and have saved. */
async function resume(): Promise<number> {
  if (!lock()) return exitCodes.done;
  if (existsSync(handedOverMarker)) {
    const isHeld = await holdAgain(openPlace().pointer, sessionOf(), here);
    renameSync(handedOverMarker, isHeld ? restoredMarker : refillingMarker);
  }
  // Again and again until it is full: whoever is let in before would miss what another pod has saved.
  // An earlier run that was killed after it had filled the workspace has let them in.
  if (existsSync(refillingMarker) && !existsSync(restoredMarker)) await fill();
  rmSync(refillingMarker, { force: true });
  console.log(JSON.stringify({ event: "resumed" }));
  return exitCodes.done;
}

async function checkpoint(): Promise<number> {
  let isToEnd = false;
  process.once("SIGTERM", () => {
    isToEnd = true;
    setTimeout(() => process.exit(exitCodes.failed), makeWayMs);
  });
  const reports = reportSession();
  try {
    return await saveWhatChanged({ mustGiveUp: () => isToEnd || existsSync(closingMarker) });
  } finally {
    await reports?.finish();
  }
}

/**
 * The pod ends, and nothing is written any more: its successor waits for this, and misses nothing then. A save container
 * that is at work goes on until the pod's end; whether it has saved is for the close to say.
 */
async function handOver(): Promise<number> {
  if (!lock()) return exitCodes.done;
  const writer = { session: sessionOf(), pod: here.pod };
  return saveInTries(async () => {
    const { pointer } = openPlace();
    // Of a session that has ended, as every usual close has when its pod ends, there is nothing to hand over.
    await pointer.read(writer);
    const hasEnded = await runnerHasEnded(runnerEndMs);
    await saveWhatChanged();
    // What is written after this checkpoint is a loss, and is told as one.
    if (!hasEnded) {
      console.log(JSON.stringify({ event: "not released", reason: "the runner has not ended" }));
      return exitCodes.done;
    }
    // Before that: what lives on here must ask who holds the files.
    if (existsSync(restoredMarker)) renameSync(restoredMarker, handedOverMarker);
    // A runner that has begun meanwhile has let people in.
    if (!(await runnerHasEnded(0))) {
      renameSync(handedOverMarker, restoredMarker);
      console.log(JSON.stringify({ event: "not released", reason: "the runner has begun again" }));
      return exitCodes.done;
    }
    const notSaved = readKnownTree(syncFolder)?.notSaved;
    await pointer.release(writer, describeNotSaved(notSaved && inFew(notSaved)));
    console.log(JSON.stringify({ event: "released" }));
    return exitCodes.done;
  }, handOverLimits);
}

/** Tells the API of this session, where there is one to tell. */
function reportSession() {
  const apiUrl = process.env["DEVEX_API_URL"];
  if (!apiUrl) return undefined;
  return startReporting({
    apiUrl,
    replId: required("REPL_ID"),
    token: process.env["DEVEX_RUNNER_TOKEN"] ?? "",
    status: readStatus,
  });
}

async function saveWhatChanged({ mustGiveUp }: Pick<SaveOptions, "mustGiveUp"> = {}): Promise<number> {
  if (!lock()) return exitCodes.done;
  const { lastSave, unsaved: before } = readStatus();
  const since = before?.since ?? new Date().toISOString();
  if (isSaved(here)) {
    // What an earlier checkpoint could not save, or say, may have gone away by itself.
    const unsaved = unsavedAfter({ notSaved: readKnownTree(syncFolder)?.notSaved }, since);
    if (before || unsaved) writeStatus({ lastSave, unsaved });
    return exitCodes.done;
  }
  // Why the last one failed is true until one has ended well: this one may be killed.
  const failure = before?.reason === undefined ? {} : { reason: before.reason };
  let unsaved = { files: 0, bytes: 0, since };
  try {
    await checkpointWorkspace(openPlace(), sessionOf(), {
      ...here,
      ...(mustGiveUp ? { mustGiveUp } : {}),
      onUnsaved: (changes) =>
        writeStatus({ ...readStatus(), unsaved: { ...(unsaved = { ...changes, since }), ...failure } }),
      onSave: (report) => {
        const { generation, savedAt } = report;
        writeStatus({ lastSave: { generation, savedAt }, unsaved: unsavedAfter(report, since) });
        console.log(JSON.stringify({ event: "checkpoint", ...report }));
      },
    });
    return exitCodes.done;
  } catch (error) {
    writeStatus({ ...readStatus(), unsaved: { ...unsaved, reason: messageOf(error).slice(0, maximumWords) } });
    throw error;
  }
}

function readStatus(): SaveStatus {
  try {
    return JSON.parse(readFileSync(saveStatusFile, "utf8")) as SaveStatus;
  } catch {
    return {};
  }
}

/** Only tells; on a full disk the save itself matters more. */
function writeStatus(status: SaveStatus): void {
  try {
    writeFileSync(`${saveStatusFile}.new`, JSON.stringify(status));
    renameSync(`${saveStatusFile}.new`, saveStatusFile);
  } catch (error) {
    console.error(JSON.stringify({ event: "status not written", reason: messageOf(error) }));
  }
}

/** Becomes a shell that waits to be told to end: a few hundred kilobytes in place of thirty megabytes. */
function idle(): never {
  process.execve?.("/bin/sh", ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"], {});
  throw new Error("this runtime cannot replace itself");
}

process.exitCode = await main();
// Idle connections to the store would hold the process, and the pod, for seconds.
process.exit();
