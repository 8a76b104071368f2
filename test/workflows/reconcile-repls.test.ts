import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { EndOfRepl, SessionsReview } from "../../activities/inputs.ts";
import { workflowIdOf } from "../../domain/naming.ts";
import { useTestServer } from "./environment.ts";
import { save, scriptActivities } from "./scripted-activities.ts";

const owner = { id: "1", login: "ada" };
const newId = () => `repl-${randomUUID().slice(0, 13)}`;
const endOf = (replId: string, workflow: EndOfRepl["workflow"] = "close"): EndOfRepl => ({
  workflow,
  replId,
  owner,
  lastSave: save,
  reason: "nobody used it for 30 minutes",
});
const page = (ends: EndOfRepl[], next?: string): SessionsReview => ({
  seen: 2,
  ends,
  findings: ends.map(({ replId }) => `${replId}: close`),
  ...(next ? { next } : {}),
});

describe("reconcileRepls", () => {
  const server = useTestServer();

  it("ends what is to be ended by the workflows that owners start, page by page", async () => {
    const [closed, deleted, halfDeleted] = [newId(), newId(), newId()];
    const { activities, calls, inputs } = scriptActivities({
      reviewSessions: (attempt) => (attempt === 1 ? page([endOf(closed)], "2") : page([endOf(deleted, "delete")])),
      reviewRemains: () => ({ ends: [endOf(halfDeleted, "delete")], findings: ["one left over"] }),
    });
    await server.withWorker(activities, async (start) => {
      const report = await (await start("reconcileRepls", {}, `reconcile-${randomUUID()}`)).result();
      expect(report).toEqual({
        sessions: 4,
        started: 3,
        findings: [`${closed}: close`, `${deleted}: close`, "one left over"],
      });
      const ended = server.client().workflow.getHandle(workflowIdOf(closed));
      expect(await ended.result()).toMatchObject({ replId: closed, save });
      expect((await ended.describe()).type).toBe("shutdownRepl");
      await server.client().workflow.getHandle(workflowIdOf(deleted)).result();
      await server.client().workflow.getHandle(workflowIdOf(halfDeleted)).result();
    });
    expect(inputs["reviewSessions"]).toEqual({ cursor: "2" });
    expect(inputs["findSession"]).toMatchObject({ replId: halfDeleted, state: "deleting" });
    expect(calls).toContain("saveWorkspace");
  });

  it("interrupts nothing that is under way", async () => {
    const busy = newId();
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const { activities, calls } = scriptActivities({
      findSession: () => gate.then(() => null),
      reviewSessions: () => page([endOf(busy)]),
      reviewRemains: () => ({ findings: [] }),
    });
    await server.withWorker(activities, async (start) => {
      const running = await start("deleteRepl", { replId: busy, owner }, workflowIdOf(busy));
      const report = await (await start("reconcileRepls", {}, `reconcile-${randomUUID()}`)).result();
      expect(report).toMatchObject({ sessions: 2, started: 0 });
      letGo();
      await running.result();
    });
    expect(calls).not.toContain("saveWorkspace");
  });

  it("passes on what it is asked for", async () => {
    const { activities, inputs } = scriptActivities({
      reviewSessions: () => page([]),
      reviewRemains: () => ({ findings: [] }),
    });
    const input = { isDryRun: true, userId: "7", idleSeconds: 5 };
    await server.withWorker(activities, async (start) => {
      await (await start("reconcileRepls", input, `reconcile-${randomUUID()}`)).result();
    });
    expect([inputs["reviewSessions"], inputs["reviewRemains"]]).toEqual([input, input]);
  });
});
