import { condition, setCurrentDetails, setHandler } from "@temporalio/workflow";
import type { OpenedRepl, StartInput } from "../activities/inputs.ts";
import {
  applyManifests,
  copySave,
  copyTemplate,
  publishSession,
  releaseRepl,
  removeNewFiles,
  removeResources,
  reserveRepl,
  waitUntilReady,
} from "./activities.ts";
import { asOutcome, reasonOf } from "./failures.ts";
import { accepted } from "./messages.ts";
import { UndoStack } from "./undo-stack.ts";

/**
 * Makes a REPL from a template and opens it. A failure or a cancellation removes all of it again: no object
 * in the cluster, no key, no file. Safe to reset to its first task.
 */
export async function createRepl(input: StartInput): Promise<OpenedRepl> {
  const { repl, session } = input;
  const undo = new UndoStack();
  let isReserved = false;
  let failure = "";
  setHandler(accepted, () => condition(() => isReserved));
  try {
    setCurrentDetails("Step 1 of 5: reserving a place in the owner's quota.");
    undo.push("free the place", () => releaseRepl({ ...input, failure }));
    const place = await reserveRepl(input);
    isReserved = true;

    setCurrentDetails("Step 2 of 5: copying the template's files. If this repeats, the object store does not answer.");
    undo.push("remove the files", () => removeNewFiles(input));
    await (input.copyOf ? copySave : copyTemplate)(input);

    setCurrentDetails(
      "Step 3 of 5: applying the manifests. If this repeats, the API server does not answer or refuses.",
    );
    undo.push("remove the objects", () => removeResources({ session, untilGone: true, isUndo: true, isNew: true }));
    await applyManifests(input);

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
    setCurrentDetails("Failed; undoing every step. What is repeated here is a removal that does not succeed yet.");
    await undo.run();
    setCurrentDetails("Failed and undone: nothing of this REPL is left. The failure below says why.");
    throw asOutcome(error);
  }
}
