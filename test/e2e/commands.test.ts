import { describe, expect, it, vi } from "vitest";
import { Redis } from "ioredis";
import { stackVariable } from "../setup/stack-variables.ts";
import { apiUrl, inspector, newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 30_000, interval: 100 };

describe("commands that meet each other", () => {
  it("answers 202 at once with Prefer: respond-async, and the status follows", async () => {
    const api = await newPerson();
    const response = await fetch(`${apiUrl()}/api/repl/create/`, {
      method: "POST",
      headers: { authorization: `Bearer ${api.token}`, "content-type": "application/json", prefer: "respond-async" },
      body: JSON.stringify({ template: "node", replName: "Later", userName: "ignored" }),
    });
    expect(response.status).toBe(202);
    const repl = (await response.json()) as { id: string; status: string };
    expect(repl).toMatchObject({ status: "creating", name: "Later", isActive: false });
    expect(response.headers.get("location")).toBe(`/api/repl/${repl.id}`);
    await vi.waitFor(async () => expect(await api.get(repl.id)).toMatchObject({ status: "running" }), patience);
    await api.remove(repl.id);
  });

  it("makes one REPL of two creates with the same Idempotency-Key", async () => {
    const api = await newPerson();
    const headers = { "idempotency-key": "one and only" };
    const [first, second] = await Promise.all([
      api.create("node", "Once", headers),
      api.create("node", "Once", headers),
    ]);
    expect(second).toEqual(first);
    expect(await api.create("node", "Once", headers)).toEqual(first);
    await expect(api.create("node", "Another", headers)).rejects.toThrow("409");
    expect(await api.list()).toHaveLength(1);
    await api.remove(first.id);
    await expect(api.create("node", "Once", headers)).rejects.toThrow("409");
    expect(await api.list()).toEqual([]);
  });

  it("attaches a second open and a second close to the first", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Shared");
    const [one, two] = await Promise.all([api.close(id), api.close(id)]);
    expect(two).toEqual(one);
    const [first, second] = await Promise.all([api.open(id), api.open(id)]);
    expect(second.url).toBe(first.url);
    expect((await inspector().objectsOf(id)).filter((object) => object.startsWith("Deployment/"))).toHaveLength(1);
    await api.remove(id);
  });

  it("refuses what meets a close, and says that it is being closed", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Busy");
    const closing = api.close(id);
    await vi.waitFor(async () => expect(await api.get(id)).toMatchObject({ status: "stopping" }), patience);
    const outcomes = await Promise.allSettled([api.open(id), api.remove(id)]);
    for (const outcome of outcomes) {
      expect(outcome.status).toBe("rejected");
      expect(String((outcome as PromiseRejectedResult).reason)).toMatch(/409 .*being closed/);
    }
    expect(await closing).toMatchObject({ replId: id });
    expect(await api.get(id)).toMatchObject({ status: "stopped" });
    await api.remove(id);
  });

  it("cancels a create that is closed while it starts, and leaves nothing", async () => {
    const api = await newPerson();
    const repl = await api.startCreate("node", "Hasty");
    await api.close(repl.id);
    expect(await api.list()).toEqual([]);
    const look = inspector();
    expect(await look.keysUnder(`${api.login}/${repl.id}/`)).toEqual([]);
    await vi.waitFor(async () => expect(await look.objectsOf(repl.id)).toEqual([]), patience);
  });

  it("deletes a REPL that is open, its pod included", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Brief");
    await api.remove(id);
    await vi.waitFor(async () => expect(await inspector().objectsOf(id)).toEqual([]), patience);
    expect(await inspector().keysUnder(`${api.login}/${id}/`)).toEqual([]);
  });

  it("holds the quota under parallel creates, and gives the places back", async () => {
    const api = await newPerson();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => api.startCreate("node", `No ${index}`)),
    );
    const made = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(made).toHaveLength(3);
    for (const outcome of outcomes) if (outcome.status === "rejected") expect(String(outcome.reason)).toContain("429");
    await Promise.all(made.map(({ id }) => api.remove(id)));
    expect(await api.list()).toEqual([]);
  });

  it("keeps one person's REPLs from another, as if they did not exist", async () => {
    const [owner, stranger] = [await newPerson(), await newPerson()];
    const repl = await owner.create("node", "Mine");
    for (const call of [stranger.get, stranger.open, stranger.close, stranger.remove])
      await expect(call(repl.id)).rejects.toThrow("404");
    const { ticket } = await owner.open(repl.id);
    const other = await stranger.create("node", "Theirs");
    expect((await fetch(`${other.url}?ticket=${ticket}`)).status).toBe(401);
    await Promise.all([owner.remove(repl.id), stranger.remove(other.id)]);
  });

  it("loses nothing when Redis is flushed while a REPL is open", async () => {
    const api = await newPerson();
    const repl = await api.create("node", "Remembered");
    const editor = await openEditor(api, repl.id);
    await shell(editor, "echo precious > work.txt");
    const redis = new Redis(stackVariable("REDIS_URL"));
    await redis.flushall();
    await redis.quit();
    expect(await api.list()).toMatchObject([{ id: repl.id, name: "Remembered" }]);
    // The session is found in the cluster, and the pod with the work in it goes on.
    await api.open(repl.id);
    expect(await shell(editor, "cat work.txt")).toBe("precious");
    await editor.close();
    await api.close(repl.id);
    expect(await inspector().textOf(`${api.login}/${repl.id}/work.txt`)).toBe("precious\n");
    await api.remove(repl.id);
  });

  it("tells each step of a create, a close and a delete as it happens", async () => {
    const api = await newPerson();
    const { id } = await api.startCreate("node", "Followed");
    const response = await fetch(`${apiUrl()}/api/repl/${id}/events`, {
      headers: { authorization: `Bearer ${api.token}`, "last-event-id": "0-0" },
    });
    let told = "";
    const reading = (async () => {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) told += chunk;
    })();
    await vi.waitFor(() => expect(told).toContain('"status":"running"'), patience);
    await api.close(id);
    await api.remove(id);
    await reading;
    const happened = told.split("\n\n").flatMap((block) => {
      const [, type = "", data = "{}"] = /^event: (\w+)\ndata: (.*)/m.exec(block) ?? [];
      const { step, state, status } = JSON.parse(data) as Record<string, unknown>;
      return type === "status" ? [status] : type === "save" ? ["save"] : state === "done" ? [step] : [];
    });
    const expected = (
      "creating reserveRepl copyTemplate applyManifests waitUntilReady running publishSession " +
      "stopping findSession save saveWorkspace removeResources stopped withdrawSession removeFiles deleted"
    ).split(" ");
    // In this order; between them lie what the first status told already and the steps of the delete.
    let from = 0;
    for (const what of expected) {
      const at = happened.indexOf(what, from);
      expect(at, `${what} in ${happened.slice(from).join(", ")}`).toBeGreaterThanOrEqual(0);
      from = at + 1;
    }
  });
});
