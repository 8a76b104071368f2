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

  it.each([
    [3, 3],
    [4, 0],
  ])("of %i orphans rescues and removes %i: so many at once are no accident", async (found, rescued) => {
    const orphans = Array.from({ length: found }, () => {
      const replId = newId();
      return { session: { id: `s-${replId}`, replId, userId: "1" }, reason: "the registry has no such REPL" };
    });
    const { activities, calls, inputs } = scriptActivities({
      // On two pages, so that the whole run counts.
      reviewSessions: (attempt) => ({
        ...page([], attempt === 1 ? "2" : undefined),
        orphans: attempt === 1 ? orphans.slice(0, 2) : orphans.slice(2),
      }),
      reviewRemains: () => ({ findings: [] }),
      rescueWorkspace: () => ({ outcome: "rescued", save }),
    });
    await server.withWorker(activities, async (start) => {
      const report = await (await start("reconcileRepls", {}, `reconcile-${randomUUID()}`)).result();
      expect(report.started).toBe(rescued);
      expect(report.findings.join()).toMatch(rescued === 0 ? /more than 3 orphans at once: none is removed/ : /^$/);
      if (rescued === 0) return;
      for (const { session } of orphans)
        await server.client().workflow.getHandle(workflowIdOf(session.replId)).result();
    });
    expect(calls.filter((name) => name === "rescueWorkspace")).toHaveLength(rescued);
    expect(calls.filter((name) => name === "removeResources")).toHaveLength(rescued);
    if (rescued > 0) expect(orphans.map(({ session }) => ({ session }))).toContainEqual(inputs["removeResources"]);
  });

  it("removes nothing of an orphan that is the writer again, and waits while it cannot be saved", async () => {
    const replId = newId();
    const orphan = { session: { id: "s", replId, userId: "1" }, reason: "the registry has no such REPL" };
    const { activities, calls, attemptsOf } = scriptActivities({
      rescueWorkspace: (attempt) => {
        if (attempt < 4) throw new Error("the object store does not answer");
        return { outcome: "writer again" };
      },
    });
    await server.withWorker(activities, async (start) => {
      expect(await (await start("rescueRepl", orphan)).result()).toEqual({ outcome: "writer again" });
    });
    expect(attemptsOf("rescueWorkspace")).toBe(4);
    expect(calls).not.toContain("removeResources");
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
