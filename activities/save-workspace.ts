import { Context } from "@temporalio/activity";
import { messageOf, ReplError } from "../domain/errors.ts";
import { errorEvent, saveEvent } from "../domain/events.ts";
import { readRecord, readSave } from "../domain/registry.ts";
import { failureReported, summarize, type SaveSummary } from "../domain/save.ts";
import { saveContainer } from "../manifests/sync-container.ts";
import type { ReplInput, SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** Exit code of the save container when another session has become the writer: there is nothing left to save for this one. */
const supersededExitCode = 3;
/** The save container found a workspace that was never filled: the newest save is all there is. */
const neverRestoredExitCode = 4;

/**
 * Makes the last save of a session: adds an ephemeral container that saves the workspace, waits for its end
 * and reads the manifest back. Only exit code 0 and a manifest that the record points at count as saved;
 * anything else throws, and the next attempt takes a fresh container. A pod that never held a restored
 * workspace has nothing newer than the newest save, which is then the answer. Repeated without end by its
 * retry policy: until it succeeds, nothing is removed.
 */
export function createSaveWorkspace({ cluster, store, directory, events, settings }: Ports) {
  return async ({ session, owner, replId }: SessionInput & ReplInput): Promise<SaveSummary> => {
    const context = Context.current();
    const beating = setInterval(() => context.heartbeat(state), 1000);
    let state = "looking for the pod";
    try {
      const attempt = await cluster.runInPod(
        session,
        (name) => saveContainer(session, settings, name),
        context.cancellationSignal,
        (next) => context.heartbeat((state = next)),
      );
      if (attempt && attempt.exitCode !== 0 && attempt.exitCode !== neverRestoredExitCode) {
        if (attempt.exitCode === supersededExitCode)
          throw new ReplError("conflict", `${attempt.container}: another session is the writer now`);
        throw new ReplError(
          "unavailable",
          `${attempt.container} ended with exit code ${attempt.exitCode}: ${failureReported(attempt.message)}`,
        );
      }
      const record = await readRecord(store, owner.id, replId);
      // No workspace was ever filled, and the registry does not have the REPL: there is nothing to keep.
      if (!record && attempt?.exitCode !== 0)
        return { generation: 0, version: "", files: 0, bytes: 0, savedAt: new Date().toISOString() };
      if (!record?.lastSave) throw new ReplError("unavailable", `The registry names no save of ${replId}.`);
      const save = summarize(await readSave(store, replId, record.lastSave), record.lastSave.version);
      if (attempt && reportedGeneration(attempt.message) > save.generation)
        throw new ReplError("unavailable", `The registry does not name the save that ${attempt.container} reported.`);
      events.publish(replId, saveEvent(save));
      return save;
    } catch (error) {
      events.publish(replId, errorEvent(`Saving failed and is tried again: ${messageOf(error)}`));
      await directory
        .setState(session, "stopping", `Saving failed and is tried again: ${messageOf(error)}`)
        .catch(() => {});
      throw error;
    } finally {
      clearInterval(beating);
    }
  };
}

function reportedGeneration(message: string): number {
  try {
    return (JSON.parse(message) as { generation?: number }).generation ?? 0;
  } catch {
    return 0;
  }
}
