import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { workflowIdOf } from "../../domain/naming.ts";
import { pendingOf, stop, withTemporal } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 60_000, interval: 250 };
const type = "saveWorkspace";
/** Without the pause the next attempt would come sooner. */
const pausedMs = 3000;

/** A close whose save fails again and again, because the object store is away. */
async function stuckClose() {
  const api = await newPerson();
  const { id } = await api.create("node", "Stuck");
  await shell(await openEditor(api, id), "echo precious > work.txt");
  const mend = stop("s3");
  const closing = api.close(id).catch(() => undefined);
  const execution = { workflowId: workflowIdOf(id) };
  const pending = () => pendingOf(id, type);
  await vi.waitFor(async () => expect((await pending())?.attempt).toBeGreaterThan(2), patience);
  return {
    mend,
    execution,
    pending,
    async endsWell() {
      await closing;
      await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopped"), patience);
      expect(await shell(await openEditor(api, id), "cat work.txt")).toBe("precious");
      await api.remove(id);
    },
  };
}

/** What the buttons of the UI and the commands of the CLI send for a pending activity, as docs/operations.md tells. */
describe("an operator with a close that cannot save", () => {
  it("reads why, pauses it, mends the store, and lets it go on", async () => {
    const { mend, execution, pending, endsWell } = await stuckClose();
    expect((await pending())?.lastFailure?.message).toMatch(/ended with exit code|does not answer|object store/);
    await withTemporal(({ workflowService, options: { namespace } }) =>
      workflowService.pauseActivity({ namespace, execution, type, reason: "the store is away" }),
    );
    await vi.waitFor(async () => expect((await pending())?.paused).toBe(true), patience);
    await mend();
    const attempt = (await pending())?.attempt;
    await delay(pausedMs);
    expect((await pending())?.attempt).toBe(attempt);
    await withTemporal(({ workflowService, options: { namespace } }) =>
      workflowService.unpauseActivity({ namespace, execution, type }),
    );
    await endsWell();
  });

  it("gives it other times to wait, and starts its attempts anew", async () => {
    const { mend, execution, pending, endsWell } = await stuckClose();
    await withTemporal(({ workflowService, options: { namespace } }) =>
      workflowService.updateActivityOptions({
        namespace,
        execution,
        type,
        activityOptions: { retryPolicy: { maximumInterval: { seconds: 5 as never } } },
        updateMask: { paths: ["retry_policy.maximum_interval"] },
      }),
    );
    // While the store is away still: what is tried once more after that may end before it can be begun anew.
    await vi.waitFor(async () => expect((await pending())?.attempt).toBeGreaterThan(4), patience);
    await withTemporal(({ workflowService, options: { namespace } }) =>
      workflowService.resetActivity({ namespace, execution, type }),
    );
    await vi.waitFor(async () => expect((await pending())?.attempt).toBeLessThan(4), patience);
    await mend();
    await endsWell();
  });
});
