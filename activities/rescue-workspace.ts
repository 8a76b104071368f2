import { setTimeout as delay } from "node:timers/promises";
import { Context } from "@temporalio/activity";
import { messageOf, ReplError } from "../domain/errors.ts";
import { errorEvent, warningEvent } from "../domain/events.ts";
import type { NothingSaved, SaveAttempt } from "../domain/ports.ts";
import { objectKey } from "../domain/naming.ts";
import { lossesOf } from "../domain/losses.ts";
import { readSave } from "../domain/read-save.ts";
import { findRescued, storeBelow } from "../domain/rescue.ts";
import { describeNotSaved, saveReported, shortNotSaved } from "../domain/save.ts";
import { isWriter } from "../domain/session-review.ts";
import { rescueContainer } from "../manifests/sync-container.ts";
import type { Rescue, SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { currentAttempt } from "./lease.ts";
import { createRenewKeys } from "./renew-keys.ts";
import { describeSavedBeside, hasSaved } from "./save-outcome.ts";
import { lossOf } from "./save-workspace.ts";

/**
 * Saves what an orphan's pod holds below a prefix of its own (domain/rescue.ts), by an ephemeral container like that of
 * a close, and reads the save back. Throws `unavailable` while a pod of it may hold work and cannot be saved; nothing
 * is removed until then. Whether it is an orphan is asked once more, before and after. What went with a
 * pod of it that another one has followed is told. May be repeated.
 */
export function createRescueWorkspace(ports: Ports, betweenLooksMs = 500) {
  const { cluster, store, registry, events, settings } = ports;
  const renewKeys = createRenewKeys(ports);

  return async ({ session }: SessionInput): Promise<Rescue> => {
    const context = Context.current();
    const readRecord = () => registry.read(session.userId, session.replId);
    if (isWriter(await readRecord(), session)) return isWriterAgain(currentAttempt() > 1);
    await renewKeys(session);
    const runRescue = () =>
      cluster.runInPod(
        session,
        (name) => rescueContainer(session, settings, name),
        context.cancellationSignal,
        (state) => context.heartbeat(state),
      );
    let attempt = await runRescue();
    // That there is nothing is not believed at the first look.
    if (!heldWork(attempt)) {
      await delay(betweenLooksMs, undefined, { signal: context.cancellationSignal });
      attempt = await runRescue();
    }
    const record = await readRecord();
    if (isWriter(record, session)) return isWriterAgain(true);
    const holdsWork = heldWork(attempt);
    const lost = record && ((holdsWork ? undefined : lossOf(record, session, attempt)) ?? lossesOf(record, session));
    if (lost) events.publish(session.replId, errorEvent(lost));
    if (!holdsWork) return { outcome: "nothing to rescue" };
    const rescued = await findRescued(store, session);
    const report = "exitCode" in attempt ? saveReported(attempt.message) : undefined;
    const wanted = report?.generation;
    if (!rescued || rescued.save.generation < (wanted ?? 1))
      throw new ReplError("unavailable", `What was rescued of session ${session.id} does not read back.`);
    const place = storeBelow(store, objectKey.rescuedSession(session.replId, session.id));
    const { notSaved } = await readSave(place, session.replId, rescued.save);
    const told = ["What an earlier session of this REPL held was saved aside; find it among your rescued workspaces."];
    if (notSaved) told.push(`${describeNotSaved(notSaved)}.`);
    const notStopped = describeSavedBeside(attempt, rescued.save);
    if (notStopped) told.push(notStopped);
    events.publish(session.replId, warningEvent(told.join(" ")));
    if (!notSaved) return { outcome: "rescued", save: rescued.save };
    return { outcome: "rescued", save: rescued.save, notSaved: shortNotSaved(notSaved) };

    /** Where a container was at work the programs have ended and nobody is let in any more: the reconciler closes it. */
    async function isWriterAgain(hadContainer: boolean): Promise<Rescue> {
      if (hadContainer) await cluster.note(session, { ending: "stopping" });
      return { outcome: "writer again" };
    }
  };
}

/** As {@link hasSaved}; nobody else is the writer of what is saved aside, so whatever says so is tried again. */
function heldWork(attempt: SaveAttempt | NothingSaved): boolean {
  try {
    return hasSaved(attempt);
  } catch (error) {
    throw new ReplError("unavailable", messageOf(error), { cause: error });
  }
}
