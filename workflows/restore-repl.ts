import { CancellationScope, patched, setCurrentDetails } from "@temporalio/workflow";
import type { RestoreSaveInput } from "../activities/inputs.ts";
import type { SaveSummary } from "../domain/save.ts";
import { removeResources, restoreSave } from "./activities.ts";
import { asOutcome } from "./failures.ts";

/** Goes back to an older save. Until its one step has made a new save of it nothing has changed. Safe to reset to its first task. */
export async function restoreRepl(input: RestoreSaveInput): Promise<{ replId: string; save: SaveSummary }> {
  try {
    setCurrentDetails(
      `Copying the files of save ${input.generation} within the object store. If this repeats, the store does not answer.`,
    );
    const save = await restoreSave(input);
    setCurrentDetails(`Save ${save.generation} is what save ${input.generation} was.`);
    return { replId: input.replId, save };
  } catch (error) {
    // An attempt that is slower than this failure must not go back to the save after it was told to have failed.
    if (patched("a failed restore ends its session"))
      await CancellationScope.nonCancellable(() =>
        removeResources({
          session: { id: input.sessionId, replId: input.replId, userId: input.owner.id },
          isFence: true,
        }),
      );
    throw asOutcome(error);
  }
}
