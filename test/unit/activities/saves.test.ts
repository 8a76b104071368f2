import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MockActivityEnvironment } from "@temporalio/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createActivities } from "../../../activities/index.ts";
import { ReplError } from "../../../domain/errors.ts";
import { objectKey } from "../../../domain/naming.ts";
import { findSave, listSaves } from "../../../domain/save-history.ts";
import {
  createManifest,
  parseSaveManifest,
  summarize,
  writeSaveManifest,
  type SaveKind,
} from "../../../domain/save.ts";
import { rescuedLogin } from "../../../domain/rescue.ts";
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
    await fakes.ports.registry.update(record.owner.id, record.id, ({ endedSession: _, ...known }) => ({
      ...known,
      sessionId: repl.session.id,
    }));
    await restoreWorkspace(createSavePlace(fakes.ports.store), repl.session, {
      root,
      knownFolder: newFolder(),
      pod: "p",
    });
    // It is closed again, so that what comes after finds it as an owner would.
    await fakes.ports.registry.update(record.owner.id, record.id, (known) => ({
      ...known,
      endedSession: repl.session.id,
    }));
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

    describe("of one path, among hard links", () => {
      const link = (from: string, to: string) => linkSync(join(repl.root, from), join(repl.root, to));
      const contentOf = async (path: string) => readFileSync(join(await opened(), path), "utf8");

      it("leaves the other names of what is replaced as they are", async () => {
        link("src/main", "zwilling");
        link("src/main", "src/same");
        await repl.save();
        await goBack(1, "src/main");
        expect(await contentOf("src/main")).toBe("first");
        expect(await contentOf("zwilling")).toBe("second");
        expect(await contentOf("src/same")).toBe("second");
      });

      it("leaves them also where the first name was not there then", async () => {
        repl.write("new folder/first name", "second");
        link("new folder/first name", "zwilling");
        await repl.save();
        repl.write("zwilling file", "third");
        repl.write("new folder/b", "third");
        link("new folder/b", "zzz");
        await repl.save();
        await goBack(3, "new folder");
        expect(await contentOf("zzz")).toBe("third");
        expect(await contentOf("new folder/first name")).toBe("second");
      });

      it("brings a name back with the content that it had, whatever its first name has now", async () => {
        link("src/main", "zwilling");
        await repl.save();
        repl.remove("src/main");
        repl.write("src/main", "third");
        repl.remove("zwilling");
        await repl.save();
        await goBack(3, "zwilling");
        expect(await contentOf("zwilling")).toBe("second");
        expect(await contentOf("src/main")).toBe("third");
      });

      it("keeps names together that stay together", async () => {
        link("kept", "one");
        repl.write("src/a", "a");
        link("src/a", "src/b");
        await repl.save();
        repl.write("src/a", "changed");
        await repl.save();
        await goBack(3, "src");
        const root = await opened();
        const inodes = ["kept", "one", "src/a", "src/b"].map((path) => statSync(join(root, path)).ino);
        expect([new Set(inodes.slice(0, 2)).size, new Set(inodes.slice(2)).size]).toEqual([1, 1]);
        expect(readFileSync(join(root, "src/b"), "utf8")).toBe("a");
      });
    });

    describe("where names are not UTF-8", () => {
      const bytes = (path: string) => Buffer.from(path, "latin1");
      const encoded = (path: string) => `base64:${bytes(path).toString("base64")}`;
      const absolute = (root: string, path: string) => Buffer.concat([Buffer.from(`${root}/`), bytes(path)]);
      const writeOdd = (path: string, content: string) => {
        mkdirSync(absolute(repl.root, path.slice(0, path.lastIndexOf("/"))), { recursive: true });
        writeFileSync(absolute(repl.root, path), content);
      };
      /** Lies below a folder whose name comes after `base64:`. */
      const odd = "src/F\xfcr/all";
      beforeEach(async () => {
        writeOdd(odd, "first");
        writeOdd("src/F\xfcr-sich", "first");
        await repl.save();
      });
      const contentOf = async (path: string) => readFileSync(absolute(await opened(), path), "utf8");

      it("brings back any other path", async () => {
        await goBack(1, "src/main");
        expect(await contentOf("src/main")).toBe("first");
        expect(await contentOf(odd)).toBe("first");
      });

      it.each([
        ["the folder above, with them", "src"],
        ["their folder", encoded("src/F\xfcr")],
        ["one alone, with the folders above it that are gone", encoded(odd)],
      ])("brings back %s", async (_, path) => {
        repl.remove("src");
        await repl.save();
        await goBack(3, path);
        expect(await contentOf(odd)).toBe("first");
      });

      it("tells a file among the folders above from those", async () => {
        rmSync(absolute(repl.root, "src/F\xfcr"), { recursive: true });
        writeFileSync(absolute(repl.root, "src/F\xfcr"), "a file now");
        await repl.save();
        await expect(goBack(3, encoded(odd))).rejects.toMatchObject({ code: "conflict" });
      });
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

    it("is done also while the look-ups are away, and tells them when it is repeated", async () => {
      const told: (number | undefined)[] = [];
      let error: Error | undefined = new ReplError("unavailable", "Redis is away.");
      const { directory } = fakes.ports;
      const withdraw: typeof directory.withdraw = async (session, outcome) => {
        told.push(outcome.repl?.lastSave?.generation);
        if (error) throw error;
        return directory.withdraw(session, outcome);
      };
      activities = createActivities({ ...fakes.ports, directory: { ...directory, withdraw } });
      expect(await goBack(1)).toMatchObject({ generation: 3 });
      expect(told).toEqual([3]);
      error = undefined;
      expect(await goBack(1)).toMatchObject({ generation: 3 });
      expect(told).toEqual([3, 3]);
      error = new Error("a mistake of ours");
      await expect(goBack(2)).rejects.toThrow(error);
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

  describe("a save that is gone", () => {
    beforeEach(async () => {
      for (const text of ["first", "second"]) {
        repl.write("file", text);
        await repl.save();
      }
    });
    const lose = async (generation: number) => {
      const key = objectKey.save(record.id, generation);
      const version = (await fakes.ports.store.getText(key))?.version ?? "";
      await fakes.ports.store.removeVersions([{ key, version }]);
    };
    const goToFirst = (path?: string) => {
      const input = { replId: record.id, owner: record.owner, sessionId: "back", generation: 1 };
      return run(activities.restoreSave, path === undefined ? input : { ...input, path });
    };

    it("does not keep anybody from going back to an older one", async () => {
      await lose(2);
      await expect(goToFirst("file")).rejects.toMatchObject({ code: "conflict" });
      expect(await goToFirst()).toMatchObject({ generation: 3 });
      expect(readFileSync(join(await opened(), "file"), "utf8")).toBe("first");
    });

    it("is not waited for by a copy of it", async () => {
      const copyOf = { replId: record.id, save: (await findSave(fakes.ports.store, await current(), 1)).summary };
      await lose(1);
      const start = { ...newStart({ repl: newRecord({ owner: record.owner }) }), copyOf };
      await expect(run(activities.copyTemplate, start)).rejects.toMatchObject({
        code: "not_found",
        message: expect.stringContaining("has been deleted or cleaned away meanwhile") as string,
      });
    });

    it("is told of by the copy of its files, too", async () => {
      const { summary, manifest } = await findSave(fakes.ports.store, await current(), 1);
      const files = manifest.entries.flatMap((entry) => (entry.type === "file" ? [entry] : []));
      await fakes.ports.store.removeVersions(files.map(({ key, version }) => ({ key, version })));
      const copyOf = { replId: record.id, save: summary };
      const start = { ...newStart({ repl: newRecord({ owner: record.owner }) }), copyOf };
      await expect(run(activities.copyTemplate, start)).rejects.toMatchObject({ code: "not_found" });
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

    describe("keeps", () => {
      /** Five saves of two files in two days: of the first day's all but the newest may go. */
      async function twoDays() {
        vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
        repl.write("always", "the same");
        for (let save = 0; save < 4; save++) {
          repl.write("changing", `save ${save}`);
          await repl.save("checkpoint");
        }
        days(2);
        repl.write("changing", "two days later");
        await repl.save();
      }
      const pruneOn = (store: Partial<typeof fakes.ports.store>) =>
        run(createActivities({ ...fakes.ports, store: { ...fakes.ports.store, ...store } }).pruneOldSaves, undefined);
      const unread = (key: string) => ({
        savesRemoved: 0,
        versionsRemoved: 0,
        failed: [expect.stringMatching(key) as string],
      });

      describe("files that any version names of a manifest that was written twice, with", () => {
        /** A file and a manifest that names it: what one of two attempts at the same save has made. */
        async function attempt(generation: number) {
          const { store } = fakes.ports;
          const key = `${objectKey.workspace(record.owner, record.id)}big`;
          const sha256 = createHash("sha256").update("big").digest("hex");
          const { version } = await store.putFile(key, Buffer.from("big"), sha256);
          const entry = { type: "file", path: "big", mode: 0o644, mtimeNs: "0", sizeBytes: 3, sha256 } as const;
          const createdAt = new Date().toISOString();
          const head = { replId: record.id, generation, parent: generation - 1, sessionId: "s-saves", createdAt };
          const manifest = createManifest({ ...head, kind: "copy", leftOut: [], inMotion: [] }, [
            { ...entry, key, version },
          ]);
          const written = await store.putText(objectKey.save(record.id, generation), writeSaveManifest(manifest));
          return { key, version, save: summarize(manifest, written.version) };
        }

        it.each([
          { what: "the first one named by the record", named: 0, saves: 0 },
          { what: "the last one named by the record", named: 1, saves: 0 },
          { what: "the first one as the save before the newest", named: 0, saves: 1 },
          { what: "the last one as the save before the newest", named: 1, saves: 1 },
        ])("$what", async ({ named, saves }) => {
          vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
          const attempts = [await attempt(1), await attempt(1)];
          const lastSave = attempts[named]?.save;
          await fakes.ports.registry.update(record.owner.id, record.id, (known) => ({
            ...known,
            ...(lastSave ? { lastSave } : {}),
          }));
          for (let save = 0; save < saves; save++) await repl.save();
          const killed = `${objectKey.workspace(record.owner, record.id)}of an attempt that was killed`;
          await fakes.ports.store.putText(killed, "unnamed");
          days(1.2);
          let versionsRemoved = 0;
          for (let hour = 0; hour < 24; hour++) {
            days(1 / 24);
            const result = await run(activities.pruneOldSaves, undefined);
            expect(result.failed).toEqual([]);
            versionsRemoved += result.versionsRemoved;
          }
          // It has looked.
          expect(versionsRemoved).toBe(1);
          for (const { key, version } of attempts)
            expect(await fakes.ports.store.getStream(key, version)).toBeDefined();
          expect((await findSave(fakes.ports.store, await current(), saves + 1)).summary).toEqual(
            (await current()).lastSave,
          );
        });
      });

      it("a save that is listed, whose beginning is answered with nothing", async () => {
        await twoDays();
        const { getHead } = fakes.ports.store;
        let struck = 0;
        const nothing: typeof getHead = async (key, bytes) =>
          key === objectKey.save(record.id, 4) ? (struck++, undefined) : getHead(key, bytes);
        expect(await pruneOn({ getHead: nothing })).toMatchObject(unread("4.json is listed, but cannot be read"));
        expect(struck).toBe(1);
        expect(await generations()).toEqual([5, 4, 3, 2, 1]);
      });

      it("a save that a fenced writer's late manifest passes over, also when the record is lost then", async () => {
        vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
        const { store, registry } = fakes.ports;
        for (const text of ["1", "2", "3", "4"]) {
          repl.write("a", text);
          await repl.save("checkpoint");
        }
        const third = (await store.getText(objectKey.save(record.id, 3)))?.text ?? "";
        const late = third.replace('"generation":3,"parent":2', '"generation":5,"parent":3');
        await store.putText(objectKey.save(record.id, 5), late);
        repl.write("a", "6");
        await repl.save("checkpoint");
        days(3);
        // The two newest stay.
        expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ savesRemoved: 4, failed: [] });
        expect(await generations()).toEqual([6, 4]);
        await registry.remove(record.owner.id, record.id);
        const unrecorded = [objectKey.workspace(record.owner, record.id)];
        expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ leftoversRemoved: 0, unrecorded });
      });

      it.each([0, 1, 2, 3])(
        "no manifest that never became a save when it is cut off after removing %i",
        async (end) => {
          vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
          const { store } = fakes.ports;
          const made: number[] = [];
          // Numbers of one and of two digits, of which a list has the longer ones first.
          for (let save = 1; save <= 12; save++) {
            repl.write("a", `${save}`);
            const { generation } = await repl.save("checkpoint");
            made.push(generation);
            const text = (await store.getText(objectKey.save(record.id, generation)))?.text ?? "";
            const parent = made.at(-2) ?? 0;
            const stray = text.replace(
              new RegExp(`"generation":${generation},"parent":\\d+`),
              `"generation":${generation + 1},"parent":${parent}`,
            );
            await store.putText(objectKey.save(record.id, generation + 1), stray);
          }
          days(2);
          let removed = 0;
          fakes.objects.failWhen((operation, key) =>
            operation === "remove" && key.includes("/saves/") && removed++ === end * 5
              ? new Error("cut off")
              : undefined,
          );
          await run(activities.pruneOldSaves, undefined);
          fakes.objects.failWhen(undefined);
          expect(removed).toBe(end * 5 + 1);
          expect(made.at(-1)).toBe(23);
          expect(made).toEqual(expect.arrayContaining(await generations()));
        },
      );

      it("files of a save that is listed, which is answered with nothing", async () => {
        await twoDays();
        const { getText } = fakes.ports.store;
        let struck = 0;
        const nothing: typeof getText = async (key, version) =>
          key === objectKey.save(record.id, 4) ? (struck++, undefined) : getText(key, version);
        expect(await pruneOn({ getText: nothing })).toMatchObject(unread("4.json is listed, but cannot be read"));
        expect(struck).toBe(1);
        const fourth = await findSave(fakes.ports.store, await current(), 4);
        for (const entry of fourth.manifest.entries)
          if (entry.type === "file") expect(await fakes.ports.store.getStream(entry.key, entry.version)).toBeDefined();
      });

      it("everything while the list of saves is answered with nothing", async () => {
        await twoDays();
        const { list } = fakes.ports.store;
        let struck = 0;
        const nothing: typeof list = async (prefix) =>
          prefix === objectKey.saves(record.id) ? (struck++, []) : list(prefix);
        expect(await pruneOn({ list: nothing })).toMatchObject(unread("does not list save 5"));
        expect(struck).toBe(1);
      });

      it("what a rescued save names, and files of a REPL without a record of which something was rescued", async () => {
        await twoDays();
        const { store } = fakes.ports;
        const first = await store.getText(objectKey.save(record.id, 1));
        const manifest = parseSaveManifest(first?.text ?? "");
        const rescued = objectKey.rescuedSession(record.id, "s-orphan");
        await store.putText(rescued + objectKey.save(record.id, 1), first?.text ?? "");
        const files = `${rescued}${objectKey.workspace({ id: "", login: rescuedLogin }, record.id)}`;
        // Files of a person that are or look like what we keep.
        await store.putText(`${files}package.json`, '{"name":"of the person"}');
        await store.putText(`${files}.prettierrc`, '{"format":true}');
        await store.putText(`${files}torn`, '{"format":');
        await store.putText(`${files}${objectKey.save(record.id, 1)}`, '{"format":2}');
        await store.putText(`${rescued}${objectKey.oddFiles(record.id)}digest`, '{"format":1}');
        const orphan = objectKey.workspace(record.owner, "repl-orphan");
        await store.putText(`${orphan}file`, "of a person");
        await store.putText(`${objectKey.rescued("repl-orphan")}s-orphan/1.json`, "a save");
        days(2);
        expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({
          savesRemoved: 3,
          versionsRemoved: 2,
          startsRemoved: 0,
          unrecorded: [orphan],
          failed: [],
        });
        for (const entry of manifest.entries)
          if (entry.type === "file") expect(await store.getStream(entry.key, entry.version)).toBeDefined();
      });

      it("what is not named as ours are, and what has a record when it is looked at again", async () => {
        vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
        const foreign = [
          "backups/2026/db.dump",
          "AWSLogs/123456789012/elasticloadbalancing/x.log",
          "inventory/repl/data.csv",
          "ada/REPL-1/x",
          "ada/repl-/x",
          "ada/repl-1",
          "top",
        ];
        const late = objectKey.workspace(record.owner, "repl-late");
        for (const key of [...foreign, `${late}file`, ".devex/odd/notes/x", ".devex/saves/notes/1.json"])
          await fakes.ports.store.putText(key, "of somebody else");
        days(2);
        const { names } = fakes.ports.registry;
        let looks = 0;
        const registry = {
          ...fakes.ports.registry,
          names: async () => [...(await names()), ...(looks++ > 0 ? [{ userId: "1", replId: "repl-late" }] : [])],
        };
        const { pruneOldSaves } = createActivities({ ...fakes.ports, registry });
        expect(await run(pruneOldSaves, undefined)).toMatchObject({ startsRemoved: 0, unrecorded: [], failed: [] });
        expect(looks).toBe(2);
        const left = fakes.objects.allKeys();
        for (const key of [...foreign, `${late}file`]) expect(left).toContain(key);
      });
    });

    it("cleans up a REPL in daily use, of which every save of the last day is kept", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      for (let save = 1; save <= 3; save++) {
        repl.write("changing", `save ${save}`);
        await repl.save("checkpoint");
      }
      days(1.5);
      repl.write("changing", "today");
      await repl.save("checkpoint");
      const { store, registry } = fakes.ports;
      const fourth = await store.getText(objectKey.save(record.id, 4));
      let version = "";
      const newest = 700;
      for (let generation = 5; generation <= newest; generation++) {
        const names = `"generation":${generation},"parent":${generation - 1}`;
        const text = fourth?.text.replace('"generation":4,"parent":3', names) ?? "";
        ({ version } = await store.putText(objectKey.save(record.id, generation), text));
      }
      await registry.update(record.owner.id, record.id, (known) => {
        if (!known.lastSave) throw new Error("there is a save");
        return { ...known, lastSave: { ...known.lastSave, generation: newest, version } };
      });
      const root = describeTree(await opened());
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ savesRemoved: 2, versionsRemoved: 2 });
      expect(describeTree(await opened())).toEqual(root);
    });

    it("removes what an attempt left, also where no save is removed any more, within a day", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      repl.write("a", "kept");
      await repl.save();
      const key = `${objectKey.workspace(record.owner, record.id)}of an attempt`;
      const { version } = await fakes.ports.store.putText(key, "that was killed");
      const removed: number[] = [];
      for (let hour = 0; hour <= 48; hour++) {
        days(1 / 24);
        const { savesRemoved, versionsRemoved, failed } = await run(activities.pruneOldSaves, undefined);
        expect([savesRemoved, failed]).toEqual([0, []]);
        removed.push(versionsRemoved);
      }
      expect(removed.slice(0, 23).every((count) => count === 0)).toBe(true);
      expect(removed.reduce((sum, count) => sum + count, 0)).toBe(1);
      expect(await fakes.ports.store.getText(key, version)).toBeUndefined();
      expect(await opened()).toBeDefined();
    });

    it("removes what a cut-off pod wrote after the deletion of its REPL, and no REPL whose record was lost", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
      const { store, registry } = fakes.ports;
      for (let save = 0; save < 3; save++) {
        repl.write("a", `save ${save}`);
        await repl.save("checkpoint");
      }
      const third = (await store.getText(objectKey.save(record.id, 3)))?.text ?? "";
      const workspace = objectKey.workspace(record.owner, record.id);
      const { id: replId, owner, createdAt } = record;
      await registry.noteDeletion({ replId, owner, createdAt });
      await activities.removeFiles({ replId, owner });
      await activities.forgetRepl({ replId, owner });
      expect(fakes.objects.tracesOf(replId)).toEqual([]);
      // Its last two attempts, of which the first answer was lost.
      for (const generation of [4, 5])
        await store.putText(
          objectKey.save(record.id, generation),
          third.replace('"generation":3,"parent":2', `"generation":${generation},"parent":3`),
        );
      await store.putText(`${workspace}a`, "too late");

      // Of another one only the record was lost.
      const other = newRecord({ owner: record.owner });
      await registry.create(other);
      const lost = await savedRepl(store, { id: other.id, userId: other.owner.id });
      for (let save = 0; save < 3; save++) {
        lost.write("a", `save ${save}`);
        await lost.save();
      }
      await registry.remove(other.owner.id, other.id);
      days(0.5);
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ leftoversRemoved: 0 });
      days(2);
      const unrecorded = [objectKey.workspace(other.owner, other.id)];
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ leftoversRemoved: 1, unrecorded });
      expect(fakes.objects.allKeys().filter((key) => key.includes(record.id))).toEqual([]);
      expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ leftoversRemoved: 0, unrecorded });
    });

    describe("of a REPL whose record is nowhere", () => {
      type Left = readonly [generation: number, parent: number, kind: SaveKind];
      const lost = newRecord();
      const workspace = objectKey.workspace(lost.owner, lost.id);
      async function leave(...manifests: readonly Left[]) {
        vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T10:00:00Z") });
        await fakes.ports.store.putText(`${workspace}file`, "of a person");
        for (const [generation, parent, kind] of manifests) {
          const head = { replId: lost.id, generation, parent, sessionId: "s", createdAt: lost.createdAt, kind };
          const text = writeSaveManifest(createManifest({ ...head, leftOut: [], inMotion: [] }, []));
          await fakes.ports.store.putText(objectKey.save(lost.id, generation), text);
        }
      }
      const reported = { startsRemoved: 0, leftoversRemoved: 0, unrecorded: [workspace] };
      const removed: typeof reported = { startsRemoved: 0, leftoversRemoved: 1, unrecorded: [] };

      it.each<{ what: string; left: readonly Left[]; expected: typeof reported }>([
        {
          what: "one checkpoint that leads on from a save that is gone",
          left: [[6, 5, "checkpoint"]],
          expected: removed,
        },
        { what: "a close", left: [[6, 5, "close"]], expected: reported },
        { what: "a save of going back", left: [[6, 5, "restored"]], expected: reported },
        { what: "the save of a new REPL", left: [[1, 0, "template"]], expected: reported },
        { what: "the save of a copy", left: [[1, 0, "copy"]], expected: reported },
        { what: "a checkpoint that is the first", left: [[1, 0, "checkpoint"]], expected: reported },
        {
          what: "two checkpoints, neither with its parent",
          left: [
            [6, 4, "checkpoint"],
            [3, 2, "checkpoint"],
          ],
          expected: reported,
        },
        {
          what: "two that lead on from one save",
          left: [
            [6, 4, "checkpoint"],
            [5, 4, "checkpoint"],
          ],
          expected: reported,
        },
        {
          what: "two of which one leads on from the other",
          left: [
            [6, 5, "checkpoint"],
            [5, 4, "checkpoint"],
          ],
          expected: reported,
        },
      ])("takes for late work one checkpoint alone, and what is left is: $what", async ({ left, expected }) => {
        await leave(...left);
        days(2);
        expect(await run(activities.pruneOldSaves, undefined)).toMatchObject({ ...expected, failed: [] });
        expect(await fakes.ports.store.list(workspace)).toHaveLength(expected.unrecorded.length);
      });

      it("knows of a deletion for as long as something is left of it", async () => {
        await leave([6, 5, "checkpoint"], [5, 4, "close"]);
        const { registry } = fakes.ports;
        await registry.bury({ replId: lost.id, owner: lost.owner, createdAt: lost.createdAt });
        days(0.5);
        await fakes.ports.store.putText(`${workspace}file`, "later");
        let leftovers = 0;
        for (let hour = 0; hour < 30; hour++) {
          days(1 / 24);
          const { leftoversRemoved, unrecorded } = await run(activities.pruneOldSaves, undefined);
          expect(unrecorded).toEqual([]);
          leftovers += leftoversRemoved;
        }
        expect(leftovers).toBe(1);
        expect((await registry.names()).map(({ replId }) => replId)).toEqual([record.id]);
      });
    });

    it("ends uploads that were begun more than a day ago, and says when it cannot", async () => {
      const asked: Date[] = [];
      const uploads = { abort: async (_: unknown, before: Date) => asked.push(before) };
      expect(await run(createActivities({ ...fakes.ports, uploads }).pruneOldSaves, undefined)).toMatchObject({
        uploadsAborted: 1,
        failed: [],
      });
      expect(Date.now() - (asked[0]?.getTime() ?? 0)).toBeGreaterThan(23 * 3_600_000);
      const broken = { abort: () => Promise.reject(new Error("no")) };
      expect(await run(createActivities({ ...fakes.ports, uploads: broken }).pruneOldSaves, undefined)).toMatchObject({
        repls: 1,
        uploadsAborted: 0,
        failed: ["uploads: no"],
      });
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
