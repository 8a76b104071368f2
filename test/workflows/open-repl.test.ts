import { describe, expect, it } from "vitest";
import type { Activities } from "../../activities/index.ts";
import { ReplError } from "../../domain/errors.ts";
import { newStart } from "../fakes/records.ts";
import { failureOf, useTestServer } from "./environment.ts";
import { failing, scriptActivities, url } from "./scripted-activities.ts";

const steps = [
  "claimSession",
  "reserveSession",
  "applyManifests",
  "waitUntilReady",
  "publishSession",
] as const satisfies readonly (keyof Activities)[];
const undos: Record<(typeof steps)[number], string[]> = {
  claimSession: [],
  reserveSession: ["releaseSession"],
  applyManifests: ["removeResources", "releaseSession"],
  waitUntilReady: ["removeResources", "releaseSession"],
  publishSession: ["removeResources", "releaseSession"],
};

describe("openRepl", () => {
  const server = useTestServer();

  it("does its steps in order and answers with the access path", async () => {
    const { activities, calls } = scriptActivities();
    const input = newStart();
    const result = await server.withWorker(activities, async (start) => (await start("openRepl", input)).result());
    expect(result).toMatchObject({ replId: input.repl.id, url, sessionId: input.session.id });
    expect(calls).toEqual(steps);
  });

  it("keeps a session that runs already, and never applies over it", async () => {
    const input = newStart();
    const running = { ...input.session, id: "already-there" };
    const { activities, calls } = scriptActivities({ claimSession: () => running });
    const result = await server.withWorker(activities, async (start) => (await start("openRepl", input)).result());
    expect(result).toMatchObject({ sessionId: "already-there" });
    expect(calls).toEqual(["claimSession", "reopenSession", "reserveSession", "waitUntilReady", "publishSession"]);
  });

  it("does not remove a session that it found when it cannot reach it", async () => {
    const input = newStart();
    const { activities, calls } = scriptActivities({
      claimSession: () => ({ ...input.session, id: "already-there" }),
      waitUntilReady: failing(1000),
    });
    await server.withWorker(activities, async (start) => failureOf((await start("openRepl", input)).result()));
    expect(calls).not.toContain("removeResources");
    expect(calls).not.toContain("releaseSession");
  });

  it.each(steps)("undoes what it made, and no file, when %s fails for good", async (step) => {
    const { activities, calls, inputs } = scriptActivities({
      [step]: () => {
        throw new ReplError("conflict", "not now");
      },
    });
    const failure = await server.withWorker(activities, async (start) =>
      failureOf((await start("openRepl", newStart())).result()),
    );
    expect(failure).toMatchObject({ type: "conflict", message: "not now" });
    expect(calls).toEqual([...steps.slice(0, steps.indexOf(step) + 1), ...undos[step]]);
    if (undos[step].length > 0) expect(inputs["releaseSession"]).toMatchObject({ failure: "not now" });
  });
});
