import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MockActivityEnvironment } from "@temporalio/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createActivities } from "../../../activities/index.ts";
import { objectKey } from "../../../domain/naming.ts";
import { findSave, listSaves } from "../../../domain/save-history.ts";
import { createSavePlace } from "../../../domain/object-store-registry.ts";
import { restoreWorkspace } from "../../../sync/restore.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newRecord, newStart } from "../../fakes/records.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { describeTree, newFolder, removeFolders } from "../../setup/trees.ts";

describe("older saves", () => {
  let fakes: ReturnType<typeof createFakePorts>;
  let activities: ReturnType<typeof createActivities>;
  let record: ReturnType<typeof newRecord>;
  let repl: Awaited<ReturnType<typeof savedRepl>>;
  beforeEach(async () => {
    fakes = createFakePorts();
    activities = createActivities(fakes.ports);
    record = newRecord();
    await fakes.ports.registry.create(record);
    repl = await savedRepl(fakes.ports.store, { id: record.id, userId: record.owner.id });
  });
  afterEach(() => {
    removeFolders();
    vi.useRealTimers();
  });
  const run = <Input, Result>(activity: (input: Input) => Promise<Result>, input: Input) =>
    new MockActivityEnvironment().run<[Input], Result, typeof activity>(activity, input);
  const current = async () => {
    const found = await fakes.ports.registry.read(record.owner.id, record.id);
    if (!found) throw new Error("the REPL is there");
    return found;
  };
  const generations = async () =>
    (await listSaves(fakes.ports.store, await current(), { limit: 100 })).saves.map(({ generation }) => generation);
  /** What an open would find now. */
  const opened = async () => {
    const root = newFolder();
    await fakes.ports.registry.update(record.owner.id, record.id, (known) => ({
      ...known,
      sessionId: repl.session.id,
    }));
    await restoreWorkspace(createSavePlace(fakes.ports.store), repl.session, {
      root,
      knownFolder: newFolder(),
      pod: "p",
    });
    return root;
  };
  const goBack = (generation: number, path?: string) =>
    run(activities.restoreSave, {
      replId: record.id,
      owner: record.owner,
      sessionId: "s-back",
      generation,
      ...(path === undefined ? {} : { path }),
    });

  describe("history", () => {
    it("lists saves page by page, newest first, and no manifest that never became one", async () => {
      for (let save = 1; save <= 5; save++) {
        repl.write("a", `${save}`);
        await repl.save(save % 2 ? "checkpoint" : "close");
        // An attempt after the third save that was killed before it moved the pointer.
        if (save === 3) {
          const third = await fakes.ports.store.getText(objectKey.save(record.id, 3));
          const left = third?.text.replace('"generation":3,"parent":2', '"generation":4,"parent":3') ?? "";
          await fakes.ports.store.putText(objectKey.save(record.id, 4), left);
        }
      }
      expect(await generations()).toEqual([6, 5, 3, 2, 1]);
      const first = await listSaves(fakes.ports.store, await current(), { limit: 3 });
      expect(first.saves.map(({ generation, kind }) => [generation, kind])).toEqual([
        [6, "checkpoint"],
        [5, "close"],
      ]);
      const second = await listSaves(fakes.ports.store, await current(), { limit: 10, before: first.before });
      expect(second.saves.map(({ generation }) => generation)).toEqual([3, 2, 1]);
      expect(second.before).toBeUndefined();
      expect((await findSave(fakes.ports.store, await current(), 2)).manifest).toMatchObject({
        generation: 2,
        files: 1,
      });
      for (const missing of [4, 7, 0]) {
        await expect(findSave(fakes.ports.store, await current(), missing)).rejects.toMatchObject({
          code: "not_found",
        });
      }
    });
  });

  describe("restoreSave", () => {
    beforeEach(async () => {
      repl.write("kept", "the same");
      repl.write("src/main", "first");
      repl.write("src/gone later", "first");
      await repl.save();
      repl.write("src/main", "second");
      repl.remove("src/gone later");
      repl.write("new", "second");
      await repl.save();
    });

    it("makes a save that is what the older one was, and may be repeated", async () => {
      const before = newFolder();
      await goBack(1);
      expect(await goBack(1)).toMatchObject({ generation: 3, files: 3 });
      const root = await opened();
      expect(readFileSync(join(root, "src/main"), "utf8")).toBe("first");
      expect(describeTree(root).map((line) => line.split(" ")[0])).toHaveLength(4);
      expect(await fakes.ports.store.list(objectKey.workspace(record.owner, record.id))).toEqual(
        ["kept", "src/gone later", "src/main"].map((path) => `${objectKey.workspace(record.owner, record.id)}${path}`),
      );
      expect(await generations()).toEqual([3, 2, 1]);
      expect(describeTree(before)).toEqual([]);
      await goBack(2);
      expect(readFileSync(join(await opened(), "new"), "utf8")).toBe("second");
    });

    it("brings back one path, with the folders above it, and leaves the rest", async () => {
      expect(await goBack(1, "src/gone later")).toMatchObject({ generation: 3 });
      const root = await opened();
      expect(readFileSync(join(root, "src/gone later"), "utf8")).toBe("first");
      expect(readFileSync(join(root, "src/main"), "utf8")).toBe("second");
      expect(readFileSync(join(root, "new"), "utf8")).toBe("second");
      await goBack(1, "src");
      expect(readFileSync(join(await opened(), "src/main"), "utf8")).toBe("first");
      await expect(goBack(1, "nothing")).rejects.toMatchObject({ code: "not_found" });
    });

    it("changes nothing of a REPL that is open, and fences whoever wrote before", async () => {
      const start = newStart({ repl: record });
      await activities.applyManifests(start);
      await expect(goBack(1)).rejects.toMatchObject({ code: "conflict" });
      expect((await current()).lastSave?.generation).toBe(2);
      await activities.removeResources({ session: start.session });
      await goBack(1);
      expect((await current()).sessionId).toBe("s-back");
    });

    it("is all or nothing", async () => {
      fakes.objects.failWhen((operation, key) =>
        operation === "copy" && key.endsWith("main") ? new Error("broken") : undefined,
      );
      await expect(goBack(1)).rejects.toThrow("broken");
      fakes.objects.failWhen(undefined);
      expect((await current()).lastSave?.generation).toBe(2);
      expect(readFileSync(join(await opened(), "src/main"), "utf8")).toBe("second");
    });
  });

  describe("copies", () => {
    it("begin with the files of another REPL's save", async () => {
      repl.write("a", "first");
      repl.write("new\nline", "odd");
      await repl.save();
      const first = (await current()).lastSave;
      repl.write("a", "second");
      await repl.save();
      const start = newStart({ repl: newRecord({ owner: record.owner }) });
      if (!first) throw new Error("there is a save");
      await activities.copyTemplate({ ...start, copyOf: { replId: record.id, save: first } });
      await fakes.ports.store.purge(objectKey.workspace(record.owner, record.id));
      await fakes.ports.store.purge(objectKey.oddFiles(record.id));
      const root = newFolder();
      await restoreWorkspace(createSavePlace(fakes.ports.store), start.session, {
        root,
        knownFolder: newFolder(),
        pod: "p",
      });
      expect(readFileSync(join(root, "a"), "utf8")).toBe("first");
      expect(readFileSync(join(root, "new\nline"), "utf8")).toBe("odd");
    });
  });

  describe("pruneOldSaves", () => {
    const days = (count: number) => vi.setSystemTime(new Date(Date.now() + count * 24 * 3_600_000));

    it("removes what no kept save names, and nothing else", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      repl.write("always", "the same");
      for (let save = 0; save < 4; save++) {
        repl.write("changing", `save ${save}`);
        await repl.save("checkpoint");
        vi.setSystemTime(new Date(Date.now() + 3_600_000));
      }
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({
        repls: 1,
        savesRemoved: 0,
        versionsRemoved: 0,
      });
      days(2);
      repl.write("changing", "two days later");
      await repl.save();
      const before = describeTree(await opened());
      // Of the first day the newest stays, and so does the newest of all.
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ savesRemoved: 3, versionsRemoved: 3 });
      expect(await generations()).toEqual([5, 4]);
      expect(describeTree(await opened())).toEqual(before);
      const fourth = await findSave(fakes.ports.store, await current(), 4);
      for (const entry of fourth.manifest.entries)
        if (entry.type === "file") expect(await fakes.ports.store.getStream(entry.key, entry.version)).toBeDefined();
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ savesRemoved: 0, versionsRemoved: 0 });
    });

    it("leaves alone what a save that is under way has stored", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      for (let save = 0; save < 3; save++) {
        repl.write("a", `save ${save}`);
        await repl.save();
      }
      days(3);
      repl.write("a", "newest");
      await repl.save();
      const key = `${objectKey.workspace(record.owner, record.id)}under way`;
      const { version } = await fakes.ports.store.putText(key, "just stored");
      await run(activities.pruneOldSaves, undefined);
      expect(await fakes.ports.store.getText(key, version)).toBeDefined();
    });

    it("removes the files of a create that never came to a save, and only reports those that had one", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      const { store } = fakes.ports;
      const [cutShort, lost] = ["repl-cut-short", "repl-lost"].map((id) => objectKey.workspace(record.owner, id));
      await store.putText(`${cutShort}file`, "of a template");
      await store.putText(`${lost}file`, "of a person");
      await store.putText(objectKey.save("repl-lost", 1), "a save");
      const nothing = { startsRemoved: 0, unrecorded: [lost] };
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject(nothing);
      days(2);
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ ...nothing, startsRemoved: 1 });
      expect(await store.folders(`${record.owner.login}/`)).toEqual([lost]);
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject(nothing);
    });

    it("removes none of so many that the saves themselves must have been lost", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      const { store } = fakes.ports;
      const workspaces = Array.from({ length: 11 }, (_, at) => objectKey.workspace(record.owner, `repl-${at}`));
      for (const workspace of workspaces) await store.putText(`${workspace}file`, "of a person");
      days(2);
      const { startsRemoved, unrecorded } = await run(activities.pruneOldSaves, undefined);
      expect([startsRemoved, unrecorded.length]).toEqual([0, 10]);
      for (const workspace of workspaces) expect(await store.list(workspace)).toHaveLength(1);
    });

    it("goes on past a REPL that cannot be looked at", async () => {
      await fakes.ports.store.putText(objectKey.record("9", "repl-bad"), "no JSON");
      const result = await run(activities.pruneOldSaves, undefined);
      expect(result).toMatchObject({ repls: 2, failed: [expect.stringContaining("repl-bad") as string] });
    });
  });
});
