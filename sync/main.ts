import { existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { SavePlace } from "../domain/commit-save.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import {
  closingMarker,
  keysFolder,
  reopeningMarker,
  restoredMarker,
  saveStatusFile,
  syncFolder,
  workspaceFolder,
} from "../domain/naming.ts";
import { openRescuePlace } from "../domain/rescue.ts";
import { describeNotSaved, type SaveReport, type SaveStatus } from "../domain/save.ts";
import { bootId, bootOfMarker } from "./boot.ts";
import { checkpointWorkspace } from "./checkpoint.ts";
import { exitCodes, lastWords, openPlace, openStore, required, sessionOf } from "./environment.ts";
import { readKnownTree } from "./known-tree.ts";
import { tryLock, writeToDisk } from "./native.ts";
import { saveInTries } from "./patient-save.ts";
import { startReporting } from "./report.ts";
import { restoreWorkspace, type RestoreProgress } from "./restore.ts";
import { isSaved, saveWorkspace, type SaveOptions } from "./save.ts";
import { unsavedAfter } from "./save-report.ts";
import { runnerHasEnded, stopPrograms } from "./stop-programs.ts";

const usage = `usage: sync restore | checkpoint | hand-over | save | rescue | reopen
  restore      fills the workspace with the newest save, then waits
  checkpoint   saves the workspace if it has changed, and ends
  hand-over    the same, when the pod ends: then another pod of the session may begin with what was saved
  save         ends the REPL's programs and makes the last save of the session
  rescue       the same for a session that may not save any more: into a place of its own
  reopen       ends a save that does not come to its end, and lets people in again
with REPL_ID, SESSION_ID, USER_ID and S3_* in the environment; SAVE_POINTER=api where the
registry is asked through the API, with DEVEX_API_URL and DEVEX_RUNNER_TOKEN`;

const maximumWords = 1000;
/** A checkpoint makes way as soon as it has stored the files that it is at. */
const lockTimeoutMs = 120_000;
const lockPauseMs = 20;
const reopenTimeoutMs = 20_000;
/** The grace of a pod is 30 s, less the time that its runner takes to end. */
const handOverLimits = { patienceMs: 25_000, firstPauseMs: 200, longestPauseMs: 2000 };
/** So long the last save waits for the end of the programs; then it is made beside them, and says so. */
const stopPatienceMs = 60_000;
/** The kubelet ends us only when the runner has ended; where the pod's grace was too short for that, it may write still. */
const runnerEndMs = 10_000;
/** A checkpoint that is told to end sees that between two parts of a file; one that is stuck in one does not. */
const makeWayMs = 3000;
const progressEveryMs = 1000;

const here = {
  root: workspaceFolder,
  knownFolder: syncFolder,
  pod: hostname(),
  restoredInBoot: bootOfMarker(restoredMarker),
  maximumHoleBytes: Number(process.env["DEVEX_MAXIMUM_HOLE_BYTES"]) || undefined,
};
const commands = {
  restore,
  checkpoint,
  "hand-over": handOver,
  save: () => save(),
  rescue: () => rescue(),
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
  if (existsSync(restoredMarker)) return idle();
  const started = performance.now();
  let told = 0;
  const tell = (progress: RestoreProgress) => {
    if (performance.now() - told < progressEveryMs) return;
    told = performance.now();
    console.log(JSON.stringify({ event: "restoring", ...progress }));
  };
  const restored = await restoreWorkspace(openPlace(), sessionOf(), { ...here, onProgress: tell });
  console.log(JSON.stringify({ event: "restored", ...restored, durationMs: Math.round(performance.now() - started) }));
  writeFileSync(restoredMarker, JSON.stringify({ ...restored, boot: bootId() }));
  // Nobody waits for it: what a crash takes before that, the next save notices.
  writeToDisk(workspaceFolder);
  return idle();
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
    await pointer.release(writer, describeNotSaved(readKnownTree(syncFolder)?.notSaved));
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

const save = () => saveLast((keys) => openPlace(keys), here);

/** Of a session that is not the writer any more, or that the registry does not have: what it holds goes where it harms nobody. */
const rescue = () =>
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
  if (!existsSync(restoredMarker)) return exitCodes.neverRestored;
  const started = performance.now();
  writeFileSync(closingMarker, "");
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
    // The environment has the keys of this container's start; the folder has new ones a minute after they were renewed.
    const keys = attempt % 2 === 0 && existsSync(keysFolder) ? keysFolder : undefined;
    return saveWorkspace(await open(keys), session, { ...options, kind: "close", mustGiveUp: isTakenBack });
  });
  const durationMs = Math.round(performance.now() - started);
  lastWords({ ...report, ...(notStopped ? { notStopped } : {}), durationMs });
  return exitCodes.done;
}

/** The owner wants to go on, because a close does not come to its end: what is written from now on checkpoints save. */
async function reopen(): Promise<number> {
  writeFileSync(reopeningMarker, "");
  try {
    for (const giveUpAt = Date.now() + reopenTimeoutMs; !lock(); await delay(lockPauseMs))
      if (Date.now() > giveUpAt) throw new ReplError("unavailable", "a save does not make way");
    rmSync(closingMarker, { force: true });
    return exitCodes.done;
  } finally {
    rmSync(reopeningMarker, { force: true });
  }
}

let lockFile: number | undefined;

/** One save at a time in a pod: held until this process ends, however it ends. May be repeated. */
function lock(): boolean {
  mkdirSync(syncFolder, { recursive: true });
  lockFile ??= openSync(`${syncFolder}/lock`, "w");
  return tryLock(lockFile);
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
