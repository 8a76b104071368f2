import { setCurrentDetails } from "@temporalio/workflow";
import type { ClosedRepl, ReplInput } from "../activities/inputs.ts";
import type { SaveSummary } from "../domain/save.ts";
import { findSession, removeResources, saveWorkspace, withdrawSession } from "./activities.ts";
import { asOutcome } from "./failures.ts";

/** What the closing of a REPL needs to know; `lastSave` is the answer when nothing runs. */
export interface ShutdownInput extends ReplInput {
  readonly lastSave: SaveSummary;
  /** Why somebody other than its owner closes it. */
  readonly reason?: string;
}

const lossOf = ({ lost }: ClosedRepl["save"]) => (lost ? { lost } : {});

/**
 * Closes a REPL: saves, and only when the save is proven removes the pod. While no save can be made the pod
 * stays and this run goes on trying. Safe to reset to its first task.
 */
export async function shutdownRepl({ lastSave, reason, ...input }: ShutdownInput): Promise<ClosedRepl> {
  try {
    setCurrentDetails(`Step 1 of 4: finding the running session.${reason ? ` It is closed because ${reason}.` : ""}`);
    // Activities answer null for undefined.
    const session = (await findSession({ ...input, state: "stopping", ...(reason ? { reason } : {}) })) ?? undefined;
    if (!session) {
      setCurrentDetails("Nothing was running; nothing to do.");
      return { replId: input.replId, save: lastSave };
    }

    let save: ClosedRepl["save"];
    let removed: "stale" | undefined | null;
    do {
      setCurrentDetails(
        "Step 2 of 4: saving the files with an ephemeral container in the pod.\n\n" +
          "If this repeats, read the pending activity's last failure and mend its cause (usually the object store). It then goes on by itself. " +
          "The pod is kept until a save has been read back; do not terminate this run, and do not delete the pod.",
      );
      const { holder, ...made } = await saveWorkspace({ ...input, session, lastSave });
      save = made;
      setCurrentDetails(`Step 3 of 4: save ${save.generation} is proven; removing the objects.`);
      removed = await removeResources({ session, after: { generation: save.generation, holder, ...lossOf(save) } });
      // A pod has taken the saved one's place meanwhile, and somebody may have worked in it.
    } while (removed === "stale");

    setCurrentDetails("Step 4 of 4: updating the look-ups.");
    await withdrawSession({ session });
    setCurrentDetails(
      `Closed with save ${save.generation}: ${save.files} files, ${save.bytes} bytes. ${save.lost ?? ""}`.trim(),
    );
    return { replId: input.replId, save };
  } catch (error) {
    throw asOutcome(error);
  }
}
