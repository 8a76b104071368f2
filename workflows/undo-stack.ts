import { CancellationScope, log } from "@temporalio/workflow";

/**
 * What to do when a later step fails, newest first. An undo is pushed before its step, because a step that
 * failed may have done its work; so each undo removes only what its own step made, and may find nothing.
 */
export class UndoStack {
  readonly #undos: { readonly title: string; readonly undo: () => Promise<unknown> }[] = [];

  push(title: string, undo: () => Promise<unknown>): void {
    this.#undos.unshift({ title, undo });
  }

  /** Runs every undo, also in a cancelled workflow; one that fails does not keep the others from running. */
  async run(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (const { title, undo } of this.#undos) {
        try {
          await undo();
        } catch (error) {
          log.error("undo failed", { title, error });
        }
      }
    });
  }
}
