import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { catchUpRegistry } from "../../../domain/catch-up-registry.ts";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRegistry, createSavePlace } from "../../../domain/object-store-registry.ts";
import { createManifest, writeSaveManifest } from "../../../domain/save.ts";
import { restoreWorkspace } from "../../../sync/restore.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

afterEach(removeFolders);

describe("a registry that came back from a backup", () => {
  it("names the newest saves again, each of which leads on from the one that it named", async () => {
    const { store } = createFakeObjectStore();
    const registry = createObjectStoreRegistry(store);
    const [record, other] = [newRecord(), newRecord()];
    for (const one of [record, other]) await registry.create(one);
    const repl = await savedRepl(store, { id: record.id, userId: record.owner.id });
    const still = await savedRepl(store, { id: other.id, userId: other.owner.id });
    still.write("a", "still");
    await still.save();
    const save = async (text: string) => {
      repl.write("a", text);
      return repl.save();
    };
    await save("one");
    await save("two");
    const backup = await registry.read(record.owner.id, record.id);
    // What another writer left, whose save was refused: it leads on from nothing that became a save.
    const second = (await store.getText(objectKey.save(record.id, 2)))?.text ?? "";
    await store.putText(
      objectKey.save(record.id, 7),
      second.replace('"generation":2,"parent":1', '"generation":7,"parent":1'),
    );
    for (const text of ["three", "four", "five"]) await save(text);

    await registry.update(record.owner.id, record.id, () => backup ?? record);
    expect(await catchUpRegistry(store, registry)).toMatchObject({ moved: [record.id] });
    const found = await registry.read(record.owner.id, record.id);
    expect(found).toMatchObject({ name: record.name, lastSave: { generation: 5 } });
    expect(await catchUpRegistry(store, registry)).toEqual({ moved: [], forks: [], failed: [] });

    const root = newFolder();
    await restoreWorkspace(createSavePlace(store), repl.session, { root, knownFolder: newFolder(), pod: "p" });
    expect(readFileSync(join(root, "a"), "utf8")).toBe("five");
  });

  describe("with several manifests that lead on from one save", () => {
    /** generation, parent, session; of a close or, without a word, of a checkpoint. */
    type Made = readonly [generation: number, parent: number, session: string, kind?: "close"];
    interface Case {
      readonly what: string;
      readonly made: readonly Made[];
      /** The save that the record names, and its writer. */
      readonly from: number;
      readonly writer: string;
      readonly newest: number;
      readonly isFork?: false;
    }

    it.each<Case>([
      {
        what: "a fenced writer's of a higher number beside that of the session that came after it",
        made: [
          [1, 0, "s1"],
          [2, 1, "s2"],
          [3, 1, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 2,
      },
      {
        what: "the same when the record knows of that session already",
        made: [
          [1, 0, "s1"],
          [2, 1, "s2"],
          [3, 1, "s1"],
        ],
        from: 1,
        writer: "s2",
        newest: 2,
      },
      {
        what: "a fenced writer's of a lower number",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 1, "s2"],
        ],
        from: 1,
        writer: "s1",
        newest: 3,
      },
      {
        what: "an orphan on top of a chain that leads on",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 2, "s2"],
          [9, 1, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 3,
      },
      {
        what: "an orphan beside the last save of the chain, by a session that was over",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 2, "s2"],
          [4, 3, "s2"],
          [5, 3, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 4,
      },
      {
        what: "what others lead on from, over the later session",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 2, "s1"],
          [4, 1, "s2"],
        ],
        from: 1,
        writer: "s1",
        newest: 3,
      },
      {
        what: "two branches of one session: the longer one",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 2, "s1"],
          [5, 3, "s1"],
          [4, 1, "s1"],
          [6, 4, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 5,
      },
      {
        what: "two of one session: the later attempt",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 1, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 3,
      },
      {
        what: "two of one session: its last save",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1", "close"],
          [3, 1, "s1"],
        ],
        from: 1,
        writer: "s1",
        newest: 2,
      },
      {
        what: "one without a parent: it leads on from nothing",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [8, 7, "s2"],
        ],
        from: 1,
        writer: "s1",
        newest: 2,
        isFork: false,
      },
      {
        what: "one that leads on from before the record's save: it is none of what came after",
        made: [
          [1, 0, "s1"],
          [2, 1, "s1"],
          [3, 2, "s1"],
          [4, 1, "s0"],
        ],
        from: 2,
        writer: "s1",
        newest: 3,
        isFork: false,
      },
    ])("$what", async ({ made, from, writer, newest, isFork = true }) => {
      const { store } = createFakeObjectStore();
      const registry = createObjectStoreRegistry(store);
      const record = newRecord();
      const versions = new Map<number, string>();
      for (const [generation, parent, sessionId, kind = "checkpoint" as const] of made) {
        const head = { replId: record.id, generation, parent, sessionId, kind, createdAt: record.createdAt };
        const manifest = createManifest({ ...head, leftOut: [], inMotion: [] }, []);
        const { version } = await store.putText(objectKey.save(record.id, generation), writeSaveManifest(manifest));
        versions.set(generation, version);
      }
      const named = {
        generation: from,
        version: versions.get(from) ?? "",
        files: 0,
        bytes: 0,
        savedAt: record.createdAt,
      };
      await registry.create({ ...record, sessionId: writer, lastSave: named });
      const { moved, forks } = await catchUpRegistry(store, registry);
      const { lastSave } = (await registry.read(record.owner.id, record.id)) ?? {};
      expect(lastSave).toMatchObject({ generation: newest, version: versions.get(newest) });
      expect(moved).toEqual([record.id]);
      if (isFork) expect(forks).toEqual([expect.stringContaining(`${record.id}: manifests `) as string]);
      else expect(forks).toEqual([]);
    });

    it("leaves a record as it is while a manifest that is listed cannot be read, and goes on with the others", async () => {
      const { store } = createFakeObjectStore();
      const registry = createObjectStoreRegistry(store);
      const [bad, good] = [newRecord(), newRecord()];
      for (const { id, owner } of [bad, good]) {
        await registry.create(id === bad.id ? bad : good);
        const repl = await savedRepl(store, { id, userId: owner.id });
        repl.write("a", "one");
        await repl.save();
      }
      await registry.update(bad.owner.id, bad.id, () => bad);
      await registry.update(good.owner.id, good.id, () => good);
      const key = objectKey.save(bad.id, 1);
      const nothing: typeof store = {
        ...store,
        getText: async (asked, version) => (asked === key ? undefined : store.getText(asked, version)),
      };
      expect(await catchUpRegistry(nothing, registry)).toEqual({
        moved: [good.id],
        forks: [],
        failed: [`${bad.id}: ${key} is listed, but cannot be read`],
      });
      expect((await registry.read(bad.owner.id, bad.id))?.lastSave).toBeUndefined();
    });
  });
});
