import { setTimeout as delay } from "node:timers/promises";
import { Context } from "@temporalio/activity";
import { messageOf, ReplError } from "../domain/errors.ts";
import { errorEvent, saveEvent } from "../domain/events.ts";
import { holderOf, isSameHolder, mayTakeWork, restoredFor, type Holder } from "../domain/holder.ts";
import { joined, lossesOf } from "../domain/losses.ts";
import type { NothingSaved, SaveAttempt } from "../domain/ports.ts";
import { readSave } from "../domain/read-save.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";
import {
  describeNotSaved,
  saveReported,
  shortNotSaved,
  type NotSaved,
  type LastSaveReport,
  type SaveSummary,
} from "../domain/save.ts";
import { saveContainer } from "../manifests/sync-container.ts";
import type { SaveWorkspaceInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { createRenewKeys } from "./renew-keys.ts";
import { describeSavedBeside, hasSaved } from "./save-outcome.ts";

/** The save that holds a closed REPL's files, and what could not be saved any more, if anything. */
export type SaveOutcome = SaveSummary & {
  readonly lost?: string;
  readonly notSaved?: NotSaved;
  /** The pod that held the files then; absent where none had restored them. */
  readonly holder?: Holder;
};

/**
 * Makes the last save of a session: adds an ephemeral container that saves the workspace, waits for its end
 * and reads the manifest back. Only an exit code that says so and a manifest that the record points at count as saved. While a pod
 * that may hold work ends, or stands between two lives of its containers, it throws and is tried again. Where no
 * container saved, the newest save is the answer, and what the record knows of the pod that held the files says
 * whether anything was lost. Repeated without end by its retry policy: until it succeeds, nothing is removed.
 */
export function createSaveWorkspace(ports: Ports, betweenLooksMs = 500) {
  const { cluster, store, registry, directory, events, settings } = ports;
  const renewKeys = createRenewKeys(ports);

  /** What the registry names; an older save than the newest known is the answer of a registry that went back. */
  async function readRecord({ owner, replId, lastSave }: SaveWorkspaceInput): Promise<ReplRecord | undefined> {
    const record = await registry.read(owner.id, replId);
    const [named, known] = [record?.lastSave?.generation ?? 0, lastSave?.generation ?? 0];
    if (named >= known) return record;
    throw new ReplError(
      "unavailable",
      `The registry names save ${named} of ${replId} as the newest, but save ${known} has been made: it answers from an earlier time. ` +
        "Where its database came back from a backup, run: npm run registry -- catch-up",
    );
  }

  async function provenSave(input: SaveWorkspaceInput, report: LastSaveReport | undefined) {
    const { replId } = input;
    const record = await readRecord(input);
    if (!record?.lastSave) throw new ReplError("unavailable", `The registry names no save of ${replId}.`);
    const save = record.lastSave;
    const { generation, notSaved } = await readSave(store, replId, save);
    if (report && report.generation > generation)
      throw new ReplError("unavailable", `The registry does not name save ${report.generation}, which was reported.`);
    return { record, save: { ...save, ...(notSaved ? { notSaved: shortNotSaved(notSaved) } : {}) } };
  }

  return async (input: SaveWorkspaceInput): Promise<SaveOutcome> => {
    const { session, replId } = input;
    const context = Context.current();
    context.heartbeat("looking for the pod");
    try {
      const [before] = await Promise.all([readRecord(input), renewKeys(session)]);
      // A session that has ended can save no more; a close notes that after its save is proven.
      if (before?.endedSession === session.id) {
        const { record, save } = await provenSave(input, undefined);
        const lost = record.lastEnd?.sessionId === session.id ? record.lastEnd.lost : toTell(record, session);
        return lost ? { ...save, lost } : save;
      }
      const runSave = () =>
        cluster.runInPod(
          session,
          (name) => saveContainer(session, settings, name),
          context.cancellationSignal,
          (state) => context.heartbeat(state),
          mayHoldWork(before, session),
        );
      let attempt = await runSave();
      // That work is gone is not believed at the first look: a list may have been cut short, or be older than it seems.
      if (before && !hasSaved(attempt) && lossOf(before, session, attempt)) {
        await delay(betweenLooksMs, undefined, { signal: context.cancellationSignal });
        attempt = await runSave();
      }
      const wasSaved = hasSaved(attempt);
      if (!wasSaved) {
        const now = await readRecord(input);
        requireSameHolder(before, now, session);
        if (now && now.sessionId !== session.id)
          throw new ReplError("conflict", "Another session of this REPL is the writer of its files now.");
        // No workspace was ever filled, and the registry does not have the REPL: there is nothing to keep.
        if (!now) return { generation: 0, version: "", files: 0, bytes: 0, savedAt: new Date().toISOString() };
      }
      const report = wasSaved && "exitCode" in attempt ? saveReported(attempt.message) : undefined;
      const { record, save } = await provenSave(input, report);
      // The newest save may be the same in an older answer, which knows less of pods.
      if (!wasSaved) requireSameHolder(before, record, session);
      const holder = holderOf(record, session);
      // Another pod has taken its place since it was saved, and somebody may be at work in that one.
      if (wasSaved && holder && "exitCode" in attempt && holder.pod !== attempt.pod)
        throw new ReplError("unavailable", `${holder.pod} holds the files of ${replId} since ${attempt.pod} was saved`);
      events.publish(replId, saveEvent(save));
      const earlierLoss = toTell(record, session) ?? (before && toTell(before, session));
      const lost = wasSaved
        ? joined([earlierLoss, describeSavedBeside(attempt, save)])
        : joined([earlierLoss, lossOf(record, session, attempt)]);
      for (const told of [lost, describeNotSaved(save.notSaved)]) if (told) events.publish(replId, errorEvent(told));
      return { ...save, ...(lost ? { lost } : {}), ...(holder ? { holder } : {}) };
    } catch (error) {
      events.publish(replId, errorEvent(`Saving failed and is tried again: ${messageOf(error)}`));
      await directory
        .setState(session, "stopping", `Saving failed and is tried again: ${messageOf(error)}`)
        .catch(() => {});
      throw error;
    }
  };
}

const toTell = (record: ReplRecord, session: Session) => joined([record.untold, lossesOf(record, session)]);

/** By the record: only the pod that restored last may, until it releases. Any may where no pod has restored yet. */
function mayHoldWork(record: ReplRecord | undefined, session: Session): ((pod: string) => boolean) | undefined {
  const restored = restoredFor(record, session);
  return restored && ((pod) => pod === restored.pod && !restored.released);
}

/** A pod that has restored, or released, since the pods were looked at makes that look worthless. */
function requireSameHolder(before: ReplRecord | undefined, now: ReplRecord | undefined, session: Session): void {
  const [then, since] = [holderOf(before, session), holderOf(now, session)];
  if (isSameHolder(then, since)) return;
  throw new ReplError(
    "unavailable",
    `${since?.pod ?? "Nobody"} holds the files of ${session.replId} since a moment ago`,
  );
}

/** What is gone with the pod that held the files, where it is not the one that answered. */
export function lossOf(record: ReplRecord, session: Session, attempt: SaveAttempt | NothingSaved): string | undefined {
  const restored = restoredFor(record, session);
  // What was noted to have ended was saved before.
  if (!restored || !mayTakeWork(restored) || record.endedSession === session.id) return undefined;
  const isThisPod = attempt.pod === restored.pod;
  if (isThisPod && "exitCode" in attempt) return undefined;
  const why = isThisPod && "nothing" in attempt ? attempt.detail : `${restored.pod} is gone`;
  const { generation, savedAt } = record.lastSave ?? {};
  return `The container was lost before its files could be saved (${why}). What was written after save ${generation} (${savedAt}) is gone.`;
}
