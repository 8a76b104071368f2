import { describe, expect, it } from "vitest";
import { ReplError } from "../../domain/errors.ts";
import { newRecord } from "../fakes/records.ts";
import { failureOf, useTestServer } from "./environment.ts";
import { failing, save, scriptActivities } from "./scripted-activities.ts";

describe("restoreRepl", () => {
  const server = useTestServer();
  const input = () => {
    const { id, owner } = newRecord();
    return { replId: id, owner, sessionId: "s-back", generation: 1 };
  };

  it("answers with the save that it made, after as many tries as it takes", async () => {
    const { activities, calls } = scriptActivities({ restoreSave: failing(3, save) });
    const result = await server.withWorker(activities, async (start) => (await start("restoreRepl", input())).result());
    expect(result.save).toEqual(save);
    expect(calls).toEqual(["restoreSave", "restoreSave", "restoreSave", "restoreSave"]);
  });

  it.each(["conflict", "not_found"] as const)("fails at once with %s", async (code) => {
    const { activities, calls } = scriptActivities({
      restoreSave: () => {
        throw new ReplError(code, "why");
      },
    });
    const failure = await server.withWorker(activities, async (start) =>
      failureOf((await start("restoreRepl", input())).result()),
    );
    expect(failure).toMatchObject({ type: code, message: "why" });
    expect(calls).toEqual(["restoreSave", "removeResources"]);
  });

  it("gives up in the end, when nothing has changed", async () => {
    const { activities, attemptsOf } = scriptActivities({ restoreSave: failing(1000) });
    const failure = await server.withWorker(activities, async (start) =>
      failureOf((await start("restoreRepl", input())).result()),
    );
    expect(failure).toMatchObject({ type: "unavailable" });
    expect(attemptsOf("restoreSave")).toBe(5);
  });
});

describe("pruneSaves", () => {
  const server = useTestServer();
  it("says what it removed", async () => {
    const counts = { savesRemoved: 2, versionsRemoved: 1, startsRemoved: 0, leftoversRemoved: 0, uploadsAborted: 0 };
    const removed = { repls: 3, ...counts, unrecorded: [], failed: [] };
    const { activities } = scriptActivities({ pruneOldSaves: failing(1, removed) });
    const result = await server.withWorker(activities, async (start) =>
      (await start("pruneSaves", undefined as never)).result(),
    );
    expect(result).toEqual(removed);
  });
});
