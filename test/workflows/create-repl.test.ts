import { describe, expect, it } from "vitest";
import type { Activities } from "../../activities/index.ts";
import { ReplError } from "../../domain/errors.ts";
import { newStart } from "../fakes/records.ts";
import { failureOf, useTestServer } from "./environment.ts";
import { failing, scriptActivities, url } from "./scripted-activities.ts";

const steps = [
  "reserveRepl",
  "copyTemplate",
  "applyManifests",
  "waitUntilReady",
  "publishSession",
] as const satisfies readonly (keyof Activities)[];
/** What must be undone when a step fails: everything up to and with that step, newest first. */
const undos: Record<(typeof steps)[number], string[]> = {
  reserveRepl: ["releaseRepl"],
  copyTemplate: ["removeNewFiles", "releaseRepl"],
  applyManifests: ["removeResources", "removeNewFiles", "releaseRepl"],
  waitUntilReady: ["removeResources", "removeNewFiles", "releaseRepl"],
  publishSession: ["removeResources", "removeNewFiles", "releaseRepl"],
};

describe("createRepl", () => {
  const server = useTestServer();

  it("does its steps in order and answers with the access path", async () => {
    const { activities, calls } = scriptActivities();
    const input = newStart();
    const result = await server.withWorker(activities, async (start) => (await start("createRepl", input)).result());
    expect(result).toEqual({ replId: input.repl.id, replName: input.repl.name, url, sessionId: input.session.id });
    expect(calls).toEqual(steps);
  });

  it.each(steps.filter((step) => step !== "waitUntilReady"))(
    "tries %s again when it fails for a while",
    async (step) => {
      const { activities, attemptsOf } = scriptActivities({ [step]: failing(3) });
      await server.withWorker(activities, async (start) => (await start("createRepl", newStart())).result());
      expect(attemptsOf(step)).toBe(4);
    },
  );

  it.each(steps)("undoes everything, newest first, when %s fails for good", async (step) => {
    const { activities, calls, attemptsOf } = scriptActivities({
      [step]: () => {
        throw new ReplError("quota_exceeded", "no more");
      },
    });
    const failure = await server.withWorker(activities, async (start) =>
      failureOf((await start("createRepl", newStart())).result()),
    );
    expect(failure).toMatchObject({ type: "quota_exceeded", message: "no more" });
    expect(calls).toEqual([...steps.slice(0, steps.indexOf(step) + 1), ...undos[step]]);
    expect(attemptsOf(step)).toBe(1);
  });

  it.each(["reserveRepl", "copyTemplate", "applyManifests", "publishSession"] as const)(
    "gives up on %s after a minute, undoes, and says what the cause was",
    async (step) => {
      const { activities, calls } = scriptActivities({ [step]: failing(1000) });
      const failure = await server.withWorker(activities, async (start) =>
        failureOf((await start("createRepl", newStart())).result()),
      );
      expect(failure).toMatchObject({
        type: "unavailable",
        message: expect.stringContaining("did not work") as string,
      });
      expect(calls.slice(-undos[step].length)).toEqual(undos[step]);
    },
  );

  it("goes on undoing until each undo has succeeded", async () => {
    const { activities, attemptsOf } = scriptActivities({
      waitUntilReady: failing(1000),
      removeResources: failing(30),
      removeNewFiles: failing(5),
    });
    await server.withWorker(activities, async (start) => failureOf((await start("createRepl", newStart())).result()));
    expect([attemptsOf("removeResources"), attemptsOf("removeNewFiles"), attemptsOf("releaseRepl")]).toEqual([
      31, 6, 1,
    ]);
  });

  it("undoes everything when it is cancelled while it waits", async () => {
    const { activities, calls } = scriptActivities();
    const waiting = Promise.withResolvers<undefined>();
    const { Context } = await import("@temporalio/activity");
    const waitUntilReady = async () => {
      calls.push("waitUntilReady");
      waiting.resolve(undefined);
      const beating = setInterval(() => Context.current().heartbeat(), 50);
      try {
        return await Context.current().cancelled;
      } finally {
        clearInterval(beating);
      }
    };
    const failure = await server.withWorker({ ...activities, waitUntilReady }, async (start) => {
      const handle = await start("createRepl", newStart());
      await waiting.promise;
      await handle.cancel();
      return failureOf(handle.result());
    });
    expect((failure as Error).name).toBe("CancelledFailure");
    expect(calls).toEqual(["reserveRepl", "copyTemplate", "applyManifests", "waitUntilReady", ...undos.waitUntilReady]);
  });

  it("answers “accepted” once the place is taken, before it is ready", async () => {
    const { activities, calls } = scriptActivities({ reserveRepl: failing(2) });
    await server.withWorker(activities, async (start) => {
      const handle = await start("createRepl", newStart());
      const accepted = handle.executeUpdate("accepted");
      await server.sleep(5000);
      await accepted;
      expect(calls.filter((call) => call === "reserveRepl")).toHaveLength(3);
      await handle.result();
    });
  });
});
