import { setTimeout as delay } from "node:timers/promises";
import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";
import { warningEvent } from "../domain/events.ts";
import type { NothingSaved, SaveAttempt } from "../domain/ports.ts";
import { findRescued, readRescued } from "../domain/rescue.ts";
import { failureReported, saveReported } from "../domain/save.ts";
import { orphanReason } from "../domain/session-review.ts";
import { rescueContainer } from "../manifests/sync-container.ts";
import type { Rescue, SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { createRenewKeys } from "./renew-keys.ts";

/** The workspace was never filled: nobody has written anything there. */
const neverRestoredExitCode = 4;

/**
 * Saves what an orphan's pod holds below a prefix of its own (domain/rescue.ts), by an ephemeral container like that of
 * a close, and reads the save back. Throws `unavailable` while a pod of it may hold work and cannot be saved; nothing
 * is removed until then. Whether it is an orphan is asked once more, before and after. May be repeated.
 */
export function createRescueWorkspace(ports: Ports, betweenLooksMs = 500) {
  const { cluster, store, registry, events, settings } = ports;
  const renewKeys = createRenewKeys(ports);

  return async ({ session }: SessionInput): Promise<Rescue> => {
    const context = Context.current();
    const isOrphan = async () =>
      orphanReason(await registry.read(session.userId, session.replId), session) !== undefined;
    if (!(await isOrphan())) return { outcome: "writer again" };
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
    if (!(await isOrphan())) return { outcome: "writer again" };
    if (!heldWork(attempt)) return { outcome: "nothing to rescue" };
    const rescued = await findRescued(store, session);
    const wanted = "exitCode" in attempt ? saveReported(attempt.message)?.generation : undefined;
    if (!rescued || rescued.save.generation < (wanted ?? 1))
      throw new ReplError("unavailable", `What was rescued of session ${session.id} does not read back.`);
    await readRescued(store, rescued);
    events.publish(
      session.replId,
      warningEvent("What an earlier session of this REPL held was saved aside; find it among your rescued workspaces."),
    );
    return { outcome: "rescued", save: rescued.save };
  };
}

/** False when it is certain that there is nothing in a pod. Throws while there may be something that is not saved. */
function heldWork(attempt: SaveAttempt | NothingSaved): boolean {
  if ("nothing" in attempt) {
    if (attempt.nothing === "never filled" || attempt.nothing === "gone") return false;
    throw new ReplError("unavailable", attempt.detail);
  }
  const { container, exitCode, message } = attempt;
  if (exitCode === 0) return true;
  if (exitCode === neverRestoredExitCode) return false;
  throw new ReplError("unavailable", `${container} ended with exit code ${exitCode}: ${failureReported(message)}`);
}
