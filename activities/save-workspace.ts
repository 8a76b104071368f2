import { Context } from "@temporalio/activity";
import { messageOf, ReplError } from "../domain/errors.ts";
import { errorEvent, saveEvent } from "../domain/events.ts";
import type { SaveAttempt } from "../domain/ports.ts";
import { readSave } from "../domain/read-save.ts";
import type { ReplId, ReplRecord, Session, User } from "../domain/repl.ts";
import { failureReported, saveReported, type SaveReport, type SaveSummary } from "../domain/save.ts";
import { saveContainer } from "../manifests/sync-container.ts";
import type { ReplInput, SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { createRenewKeys } from "./renew-keys.ts";

/** Exit code of the save container when another session has become the writer: there is nothing left to save for this one. */
const supersededExitCode = 3;
/** The save container found a workspace that was never filled: the newest save is all there is. */
const neverRestoredExitCode = 4;

/** The save that holds a closed REPL's files, and what could not be saved any more, if anything. */
export type SaveOutcome = SaveSummary & { readonly lost?: string };

/**
 * Makes the last save of a session: adds an ephemeral container that saves the workspace, waits for its end
 * and reads the manifest back. Only exit code 0 and a manifest that the record points at count as saved;
 * anything else throws, and the next attempt takes a fresh container. A pod that never held a restored
 * workspace has nothing newer than the newest save, which is then the answer; so is it where the pod is gone
 * with all that was in it, and the answer says so. Repeated without end by its retry policy: until it succeeds,
 * nothing is removed.
 */
export function createSaveWorkspace(ports: Ports) {
  const { cluster, store, registry, directory, events, settings } = ports;
  const renewKeys = createRenewKeys(ports);

  async function provenSave(owner: User, replId: ReplId, report: SaveReport | undefined) {
    const record = await registry.read(owner.id, replId);
    if (!record?.lastSave) throw new ReplError("unavailable", `The registry names no save of ${replId}.`);
    const save = record.lastSave;
    const { generation } = await readSave(store, replId, save);
    if (report && report.generation > generation)
      throw new ReplError("unavailable", `The registry does not name save ${report.generation}, which was reported.`);
    return { record, save };
  }

  return async ({ session, owner, replId }: SessionInput & ReplInput): Promise<SaveOutcome> => {
    const context = Context.current();
    context.heartbeat("looking for the pod");
    try {
      await renewKeys(session);
      const attempt = await cluster.runInPod(
        session,
        (name) => saveContainer(session, settings, name),
        context.cancellationSignal,
        (state) => context.heartbeat(state),
      );
      const saved = attempt && "exitCode" in attempt ? attempt : undefined;
      requireSaved(saved);
      const wasSaved = saved?.exitCode === 0;
      // No workspace was ever filled, and the registry does not have the REPL: there is nothing to keep.
      if (!wasSaved && !(await registry.read(owner.id, replId)))
        return { generation: 0, version: "", files: 0, bytes: 0, savedAt: new Date().toISOString() };
      const { record, save } = await provenSave(owner, replId, wasSaved ? saveReported(saved.message) : undefined);
      events.publish(replId, saveEvent(save));
      const lost = lossOf(record, session, attempt && "lost" in attempt ? attempt.lost : undefined);
      if (lost) events.publish(replId, errorEvent(lost));
      return lost ? { ...save, lost } : save;
    } catch (error) {
      events.publish(replId, errorEvent(`Saving failed and is tried again: ${messageOf(error)}`));
      await directory
        .setState(session, "stopping", `Saving failed and is tried again: ${messageOf(error)}`)
        .catch(() => {});
      throw error;
    }
  };
}

/** Throws unless the container saved, or found that there was nothing to save. */
function requireSaved(attempt: SaveAttempt | undefined): void {
  if (!attempt || attempt.exitCode === 0 || attempt.exitCode === neverRestoredExitCode) return;
  const { container, exitCode, message } = attempt;
  if (exitCode === supersededExitCode)
    throw new ReplError("conflict", `${container}: another session is the writer now`);
  throw new ReplError("unavailable", `${container} ended with exit code ${exitCode}: ${failureReported(message)}`);
}

/** What a user must know when a pod of the session was lost before it could be saved. */
function lossOf({ lastLoss, lastSave }: ReplRecord, session: Session, gone: string | undefined): string | undefined {
  if (gone)
    return `The container was lost before its files could be saved (${gone}). What was written after save ${lastSave?.generation} (${lastSave?.savedAt}) is gone.`;
  if (lastLoss?.sessionId !== session.id) return undefined;
  return `The container was lost at ${lastLoss.at} and started again from save ${lastLoss.generation}. What was written after that save is gone.`;
}
