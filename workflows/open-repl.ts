import { condition, patched, setCurrentDetails, setHandler } from "@temporalio/workflow";
import type { OpenedRepl, StartInput } from "../activities/inputs.ts";
import {
  applyManifests,
  claimSession,
  publishSession,
  releaseSession,
  removeResources,
  reopenSession,
  reserveSession,
  waitUntilReady,
} from "./activities.ts";
import { asOutcome, reasonOf } from "./failures.ts";
import { accepted } from "./messages.ts";
import { UndoStack } from "./undo-stack.ts";

/**
 * Opens a REPL that exists, from its newest save; one that runs already is found and kept, and let into again where its
 * close did not come to its end. A failure or a cancellation removes what this run made, and never a file. Safe to
 * reset to its first task.
 */
export async function openRepl(input: StartInput): Promise<OpenedRepl> {
  const { repl } = input;
  const undo = new UndoStack();
  let isReserved = false;
  setHandler(accepted, () => condition(() => isReserved));
  let failure = "";
  try {
    setCurrentDetails("Step 1 of 5: making this session the only writer of the files.");
    const session = await claimSession(input);
    const start = { ...input, session };
    const isOurs = session.id === input.session.id;
    if (!isOurs && patched("a close that fails is taken back")) await reopenSession({ session });

    setCurrentDetails("Step 2 of 5: reserving a place among the owner's open REPLs.");
    if (isOurs) undo.push("free the place", () => releaseSession({ session, failure }));
    const place = await reserveSession(start);
    isReserved = true;

    setCurrentDetails(
      "Step 3 of 5: applying the manifests. If this repeats, the API server does not answer or refuses.",
    );
    if (isOurs) undo.push("remove the objects", () => removeResources({ session, isUndo: true }));
    if (isOurs) await applyManifests(start);

    setCurrentDetails(
      "Step 4 of 5: waiting until the runner answers. The pending activity's heartbeat says where the pod stands.",
    );
    const url = await waitUntilReady({ session });

    setCurrentDetails("Step 5 of 5: publishing the access path.");
    await publishSession({ session, url, place });
    setCurrentDetails(`Open at ${url}`);
    return { replId: repl.id, replName: repl.name, url, sessionId: session.id };
  } catch (error) {
    failure = reasonOf(error);
    setCurrentDetails("Failed; undoing every step. The files stay as they were saved.");
    await undo.run();
    setCurrentDetails("Failed and undone; the files are as they were saved. The failure below says why.");
    throw asOutcome(error);
  }
}
