import { describe, expect, it } from "vitest";
import { ReplError } from "../../domain/errors.ts";
import { newRecord } from "../fakes/records.ts";
import { failureOf, useTestServer } from "./environment.ts";
import { failing, save, scriptActivities } from "./scripted-activities.ts";

const lastSave = { ...save, generation: 1 };

describe("shutdownRepl", () => {
  const server = useTestServer();
  const input = () => {
    const { id, owner } = newRecord();
    return { replId: id, owner, lastSave };
  };

  it("saves before it removes", async () => {
    const { activities, calls } = scriptActivities();
    const result = await server.withWorker(activities, async (start) =>
      (await start("shutdownRepl", input())).result(),
    );
    expect(result.save).toEqual(save);
    expect(calls).toEqual(["findSession", "saveWorkspace", "removeResources", "withdrawSession"]);
  });

  it("saves again where another pod has held the files since its save, and answers with that save", async () => {
    const holders = ["first", "second"];
    const removals: unknown[] = ["stale", undefined];
    let saves = 0;
    const { activities, calls, inputs } = scriptActivities({
      saveWorkspace: () => ({ ...save, generation: 5 + saves, holder: { pod: holders[saves++] } }),
      removeResources: () => removals.shift(),
    });
    const result = await server.withWorker(activities, async (start) =>
      (await start("shutdownRepl", input())).result(),
    );
    expect(result.save).toEqual({ ...save, generation: 6 });
    expect(inputs["removeResources"]).toMatchObject({ after: { generation: 6, holder: { pod: "second" } } });
    const again = ["saveWorkspace", "removeResources"];
    expect(calls).toEqual(["findSession", ...again, ...again, "withdrawSession"]);
  });

  it("answers with the last save when nothing runs", async () => {
    const { activities, calls } = scriptActivities({ findSession: () => undefined });
    const result = await server.withWorker(activities, async (start) =>
      (await start("shutdownRepl", input())).result(),
    );
    expect(result.save).toEqual(lastSave);
    expect(calls).toEqual(["findSession"]);
  });

  it("keeps the pod and goes on trying for as long as no save can be made", async () => {
    const { activities, calls, attemptsOf } = scriptActivities({ saveWorkspace: failing(200, save) });
    await server.withWorker(activities, async (start) => {
      const handle = await start("shutdownRepl", input());
      await server.sleep(2 * 3600 * 1000);
      expect((await handle.describe()).status.name).toBe("RUNNING");
      expect(calls).not.toContain("removeResources");
      expect((await handle.result()).save).toEqual(save);
    });
    expect(attemptsOf("saveWorkspace")).toBe(201);
    expect(calls.slice(-2)).toEqual(["removeResources", "withdrawSession"]);
  });

  it("removes nothing when another session has become the writer", async () => {
    const { activities, calls } = scriptActivities({
      saveWorkspace: () => {
        throw new ReplError("conflict", "another session is the writer now");
      },
    });
    const failure = await server.withWorker(activities, async (start) =>
      failureOf((await start("shutdownRepl", input())).result()),
    );
    expect(failure).toMatchObject({ type: "conflict" });
    expect(calls).toEqual(["findSession", "saveWorkspace"]);
  });

  it.each(["findSession", "removeResources", "withdrawSession"] as const)(
    "tries %s until it succeeds",
    async (step) => {
      const value = step === "findSession" ? { id: "s1", replId: "repl-x", userId: "1" } : undefined;
      const { activities, attemptsOf } = scriptActivities({ [step]: failing(20, value) });
      await server.withWorker(activities, async (start) => (await start("shutdownRepl", input())).result());
      expect(attemptsOf(step)).toBe(21);
    },
  );

  it("refuses a second close under the same id while the first one runs", async () => {
    const { activities } = scriptActivities({ saveWorkspace: failing(3, save) });
    await server.withWorker(activities, async (start) => {
      const about = input();
      const first = await start("shutdownRepl", about, `repl/${about.replId}`);
      await expect(start("shutdownRepl", about, `repl/${about.replId}`)).rejects.toMatchObject({
        name: "WorkflowExecutionAlreadyStartedError",
      });
      await first.result();
    });
  });
});

describe("deleteRepl", () => {
  const server = useTestServer();
  const target = () => {
    const { id, owner } = newRecord();
    return { replId: id, owner };
  };

  it("removes what runs, then, when that has ended, the files, then the look-ups", async () => {
    const { activities, calls, inputs } = scriptActivities();
    await server.withWorker(activities, async (start) => (await start("deleteRepl", target())).result());
    expect(calls).toEqual(["findSession", "removeResources", "removeFiles", "forgetRepl"]);
    // A checkpoint in a pod that still ends could store a file once more after they were removed.
    expect(inputs["removeResources"]).toMatchObject({ untilGone: true });
  });

  it.each(["findSession", "removeResources", "removeFiles", "forgetRepl"] as const)(
    "tries %s until it succeeds",
    async (step) => {
      const value = step === "findSession" ? { id: "s1", replId: "repl-x", userId: "1" } : undefined;
      const { activities, attemptsOf } = scriptActivities({ [step]: failing(20, value) });
      await server.withWorker(activities, async (start) => (await start("deleteRepl", target())).result());
      expect(attemptsOf(step)).toBe(21);
    },
  );
});
