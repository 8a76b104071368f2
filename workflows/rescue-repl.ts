import { setCurrentDetails } from "@temporalio/workflow";
import type { OrphanInput, Rescue } from "../activities/inputs.ts";
import { removeResources, rescueWorkspace, withdrawSession } from "./activities.ts";
import { asOutcome } from "./failures.ts";

/**
 * Ends an orphan: saves what its pod holds aside, and only when that save is proven removes the pod. Its owner finds it
 * among the rescued workspaces. One that is the writer of its REPL's files again is left alone. Safe to reset to its
 * first task.
 */
export async function rescueRepl({ session, reason }: OrphanInput): Promise<Rescue> {
  try {
    setCurrentDetails(
      `Step 1 of 2: saving aside what session ${session.id} holds, because ${reason}.\n\n` +
        "If this repeats, read the pending activity's last failure and mend its cause. The pod is kept until a save has been read back.",
    );
    const rescue = await rescueWorkspace({ session });
    if (rescue.outcome === "writer again") {
      setCurrentDetails("It is the writer of its REPL's files again: nothing is removed.");
      return rescue;
    }
    setCurrentDetails("Step 2 of 2: removing its objects.");
    await removeResources({ session });
    await withdrawSession({ session });
    setCurrentDetails(
      rescue.save
        ? `Rescued ${rescue.save.files} files, ${rescue.save.bytes} bytes, and removed.`
        : "Removed: there was nothing in it.",
    );
    return rescue;
  } catch (error) {
    throw asOutcome(error);
  }
}
