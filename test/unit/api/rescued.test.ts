import { afterEach, describe, expect, it } from "vitest";
import { openRescuePlace } from "../../../domain/rescue.ts";
import { saveWorkspace } from "../../../sync/save.ts";
import { startApi } from "../../fakes/api.ts";
import { newFolder, removeFolders, writeTree } from "../../setup/trees.ts";
import { problemOf } from "./problem-of.ts";

describe("rescued workspaces", () => {
  afterEach(removeFolders);

  async function withRescued() {
    const api = await startApi();
    const [alice, bob] = [await api.person("alice"), await api.person("bob")];
    const session = { id: "s-orphan", replId: "repl-lost", userId: alice.owner.id };
    const root = newFolder();
    writeTree(root, { "work.py": "work that no save has" });
    const place = await openRescuePlace(api.store, session);
    await saveWorkspace(place, session, { root, knownFolder: newFolder(), pod: "p", kind: "close" });
    const from = { replId: session.replId, sessionId: session.id };
    return { ...api, alice, bob, from, session };
  }

  it("are listed for their owner alone", async () => {
    const { alice, bob, call, from } = await withRescued();
    expect(await (await alice.as("GET", "/api/rescued")).json()).toEqual([
      { ...from, files: 1, bytes: 21, savedAt: expect.any(String) as string },
    ]);
    expect(await (await bob.as("GET", "/api/rescued")).json()).toEqual([]);
    expect((await call("GET", "/api/rescued")).status).toBe(401);
  });

  it("become a REPL of their owner, with a template and a name", async () => {
    const { alice, commands, from } = await withRescued();
    const answer = await alice.as("POST", "/api/repl/create", { from, template: "node", name: "Back again" });
    expect([answer.status, commands]).toEqual([201, ["create"]]);
  });

  it.each([
    ["without a template", { name: "x" }, 400, /template: is missing/],
    ["of a session that there is not", { name: "x", template: "node", sessionId: "s-other" }, 404, /no such rescued/],
    ["by a name that is none", { name: "x", template: "node", sessionId: "../.." }, 400, /sessionId/],
    ["of a REPL that is none", { name: "x", template: "node", replId: "../../x" }, 404, /no such REPL/],
  ])("do not become one %s", async (_, { sessionId, replId, ...body }: Record<string, string>, status, detail) => {
    const { alice, commands, from } = await withRescued();
    const changed = { ...from, ...(sessionId ? { sessionId } : {}), ...(replId ? { replId } : {}) };
    const answer = await problemOf(await alice.as("POST", "/api/repl/create", { ...body, from: changed }));
    expect(answer).toMatchObject({ status, detail: expect.stringMatching(detail) as string });
    expect(commands).toEqual([]);
  });

  it("do not become one of somebody else's", async () => {
    const { bob, commands, from } = await withRescued();
    const answer = await bob.as("POST", "/api/repl/create", { from, template: "node", name: "x" });
    expect([answer.status, commands]).toEqual([404, []]);
  });
});
