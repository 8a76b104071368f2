import { setCurrentDetails } from "@temporalio/workflow";
import type { ReplInput } from "../activities/inputs.ts";
import { findSession, forgetRepl, removeFiles, removeResources } from "./activities.ts";
import { asOutcome } from "./failures.ts";

/** Removes a REPL for good: what runs, every file and save, and every key. Safe to reset to its first task. */
export async function deleteRepl(input: ReplInput): Promise<{ replId: string }> {
  try {
    setCurrentDetails("Step 1 of 3: removing what runs.");
    const session = await findSession({ ...input, state: "deleting" });
    if (session) await removeResources({ session, untilGone: true });

    setCurrentDetails("Step 2 of 3: removing every file and save. If this repeats, the object store does not answer.");
    await removeFiles(input);

    setCurrentDetails("Step 3 of 3: removing the look-ups.");
    await forgetRepl(input);
    setCurrentDetails("Deleted.");
    return { replId: input.replId };
  } catch (error) {
    throw asOutcome(error);
  }
}
