import { Client } from "@temporalio/client";
import { describe, expect, it, vi } from "vitest";
import { createReplWorkflows } from "../../api/repl-workflows.ts";
import { ReplError } from "../../domain/errors.ts";
import { taskQueue, workflowIdOf } from "../../domain/naming.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { useTestServer } from "./environment.ts";
import { save, scriptActivities } from "./scripted-activities.ts";

describe("what meets a close", () => {
  const server = useTestServer();

  it("is refused while it runs, and waits for its last step when it was told that the close is over", async () => {
    const { id: replId, owner } = newRecord();
    const lastStep = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const { activities } = scriptActivities({
      withdrawSession: () => {
        reached.resolve();
        return lastStep.promise;
      },
    });
    // The environment's own client skips time while a result is waited for, and the close would run out of it.
    const workflows = createReplWorkflows(new Client({ connection: server.client().connection }));
    await server.withWorker(
      activities,
      async () => {
        const closing = workflows.close({ replId, owner, lastSave: save });
        await reached.promise;
        await expect(workflows.remove({ replId, owner })).rejects.toMatchObject({ code: "conflict" });
        const removing = workflows.remove({ replId, owner }, { status: "stopped" });
        lastStep.resolve();
        expect(await closing).toMatchObject({ replId });
        await removing;
      },
      taskQueue,
    );
  });
});

describe("what meets a rescue that cannot save", () => {
  const server = useTestServer();

  it("is told why, and a deletion ends it", async () => {
    const repl = newRecord();
    const about = { replId: repl.id, owner: repl.owner };
    let tries = 0;
    const { activities } = scriptActivities({
      rescueWorkspace: () => {
        tries++;
        throw new ReplError("unavailable", "its disk cannot be read");
      },
    });
    const workflows = createReplWorkflows(new Client({ connection: server.client().connection }));
    await server.withWorker(
      activities,
      async (start) => {
        await start("rescueRepl", { session: newSession(repl), reason: "a test" }, workflowIdOf(repl.id));
        await vi.waitFor(() => expect(tries).toBeGreaterThan(3), { timeout: 30_000 });
        await expect(workflows.restore({ ...about, sessionId: "s", generation: 1 })).rejects.toMatchObject({
          code: "conflict",
          message: expect.stringMatching(/saved aside first.*goes on trying: its disk cannot be read/) as string,
        });
        await workflows.remove(about);
      },
      taskQueue,
    );
  });
});
