import { describe, expect, it } from "vitest";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import { startApi } from "../../fakes/api.ts";
import { problemOf } from "./problem-of.ts";

const report = { connections: 2, lastActivityAt: "2026-01-01T00:00:00.000Z" };

async function running() {
  const api = await startApi();
  const { create, owner, token } = await api.person("alice");
  const { id } = await create();
  const current = await api.directory.activeSession(owner.id, id);
  const session = { id: current?.id ?? "", replId: id, userId: owner.id };
  const as = (runnerToken: string, method: string, path: string, body?: unknown) =>
    api.call(method, path, body, { authorization: `Bearer ${runnerToken}` });
  return { ...api, id, session, as, ownersToken: token };
}

describe("a session's runner", () => {
  it("reports that it lives", async () => {
    const { as, id, session, runnerTokens } = await running();
    const response = await as(runnerTokens.issue(session), "POST", `/api/runner/${id}/heartbeat`, report);
    expect(response.status).toBe(204);
  });

  it("tells what is not saved yet, and when to look for a new save", async () => {
    const { as, id, session, runnerTokens, store, person, events } = await running();
    const told = () => events.told(id).filter(({ type }) => type !== "status");
    const beat = (save: object) =>
      as(runnerTokens.issue(session), "POST", `/api/runner/${id}/heartbeat`, { ...report, save });
    const seen = async () => (await (await (await person("alice")).as("GET", `/api/repl/${id}`)).json()) as object;
    const unsaved = { bytes: 12, files: 1, since: "2026-01-01T00:00:00.000Z", reason: "no room" };
    await beat({ unsaved });
    await beat({ unsaved });
    expect(await seen()).toMatchObject({ unsaved });
    expect(told()).toEqual([
      expect.objectContaining({ type: "error", message: expect.stringContaining("no room") as string }),
    ]);

    // A save that the registry does not have is not believed.
    await beat({ lastSave: { generation: 1000, savedAt: report.lastActivityAt } });
    expect(await seen()).not.toHaveProperty("unsaved");
    expect(await seen()).not.toHaveProperty("lastSave");
    const lastSave = { generation: 4, version: "v", files: 5, bytes: 6, savedAt: "2026-01-02T00:00:00.000Z" };
    await createObjectStoreRecords(store).update(session.userId, id, (record) => ({ ...record, lastSave }));
    await beat({ lastSave: { generation: 4, savedAt: lastSave.savedAt } });
    expect(await seen()).toMatchObject({ lastSave: { generation: 4, files: 5, bytes: 6 } });
    expect(told()).toContainEqual(expect.objectContaining({ type: "save", generation: 4 }));
  });

  it("can ask to be closed, which is the close of the owner", async () => {
    const { as, id, session, runnerTokens, commands } = await running();
    const response = await as(runnerTokens.issue(session), "DELETE", `/api/runner/${id}`);
    expect(await response.json()).toMatchObject({ replId: id, save: { generation: 3 } });
    expect(commands).toEqual(["create", "close"]);
  });

  it("is nobody once its session is over", async () => {
    const { as, id, session, runnerTokens, commands } = await running();
    const stale = runnerTokens.issue({ ...session, id: "earlier" });
    expect(await problemOf(await as(stale, "POST", `/api/runner/${id}/heartbeat`, report))).toMatchObject({
      status: 409,
    });
    expect(await problemOf(await as(stale, "DELETE", `/api/runner/${id}`))).toMatchObject({ status: 409 });
    expect(commands).toEqual(["create"]);
  });

  it("speaks for its own session only, and nobody else speaks for it", async () => {
    const { as, id, session, runnerTokens, ownersToken, commands } = await running();
    const good = runnerTokens.issue(session);
    const [replId, userId, sessionId, signature] = good.split(".");
    const bad = [
      "",
      "x",
      "...",
      ownersToken,
      runnerTokens.issue({ ...session, replId: "repl-other" }),
      `${replId}.${userId}.other.${signature}`,
      `${replId}.1.${sessionId}.${signature}`,
      `${replId}.${userId}.${sessionId}.`,
      `${replId}.${userId}.${sessionId}.${signature}.x`,
      `${good}x`,
    ];
    for (const token of bad) {
      expect((await as(token, "POST", `/api/runner/${id}/heartbeat`, report)).status, token).toBe(401);
      expect((await as(token, "DELETE", `/api/runner/${id}`)).status, token).toBe(401);
    }
    expect((await as(good, "GET", "/api/repl")).status).toBe(401);
    expect(commands).toEqual(["create"]);
  });

  it.each([
    [{}, "connections"],
    [{ ...report, connections: -1 }, "connections"],
    [{ ...report, save: { unsaved: { bytes: -1 } } }, "save.unsaved.bytes"],
    [{ ...report, lastActivityAt: "yesterday" }, "lastActivityAt"],
  ])("is told what is wrong with %j", async (body, field) => {
    const { as, id, session, runnerTokens } = await running();
    const { status, detail } = await problemOf(
      await as(runnerTokens.issue(session), "POST", `/api/runner/${id}/heartbeat`, body),
    );
    expect(status).toBe(400);
    expect(detail).toContain(`${field}: `);
  });
});
