import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { objectKey } from "../../domain/naming.ts";
import type { FileStore, ObjectStore } from "../../domain/ports.ts";
import { createObjectStoreRecords, createSavePlace } from "../../domain/object-store-registry.ts";
import { readSave } from "../../domain/read-save.ts";
import { noteGone } from "../../domain/save-pointer.ts";
import { setTime } from "../../sync/native.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import { isSaved, saveWorkspace, type SaveOptions } from "../../sync/save.ts";
import { describeTree, newFolder, removeFolders } from "../setup/trees.ts";
import { newRecord, newSession } from "../fakes/records.ts";

/** Writes each letter that it is told into a mapped file, and never touches the file itself. */
const memoryMapProgram = `
import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    for line in sys.stdin:
        m[0] = ord(line[0])
        print("written")
`;

/** What saves promise on every object store, the one in memory and the real one alike. */
export function describeSaves(makeStore: () => FileStore & Pick<ObjectStore, "list" | "listVersions">): void {
  describe("save and restore", () => {
    let store: ReturnType<typeof makeStore>;
    let record: ReturnType<typeof newRecord>;
    let session: ReturnType<typeof newSession>;
    let root: string;
    let known: string;
    beforeEach(async () => {
      store = makeStore();
      record = newRecord();
      session = newSession(record);
      await createObjectStoreRecords(store).create({ ...record, sessionId: session.id });
      root = newFolder();
      known = newFolder();
    });
    afterEach(removeFolders);
    const save = (options: Partial<SaveOptions> = {}) =>
      saveWorkspace(createSavePlace(store), session, {
        root,
        knownFolder: known,
        pod: "pod",
        kind: "close",
        ...options,
      });
    const newestSave = async () => {
      const { lastSave } = (await createObjectStoreRecords(store).read(record.owner.id, record.id)) ?? {};
      if (!lastSave) throw new Error("nothing was saved");
      return readSave(store, record.id, lastSave);
    };
    const restored = async () => {
      const target = newFolder();
      await restoreWorkspace(createSavePlace(store), session, { root: target, knownFolder: newFolder(), pod: "pod" });
      return target;
    };

    it("brings back every kind of path", async () => {
      mkdirSync(join(root, "empty/deep/er"), { recursive: true });
      for (const name of [
        "plain",
        "with space",
        "new\nline",
        "-dash",
        "ü",
        "u\u0308",
        "x".repeat(255),
        "A",
        "a",
        "back\\slash",
        "\r",
        "tab\t",
        "+&=?#:;",
        "ﬀ",
        "..a",
        "a.",
        "~",
        "\u{1f600}",
        "base64:no",
        "100%",
      ])
        writeFileSync(join(root, name), name);
      writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe, 0x41])]), "not utf-8");
      writeFileSync(join(root, "zero"), "");
      writeFileSync(join(root, "binary"), randomBytes(2_500_000));
      writeFileSync(join(root, "tool"), "#!/bin/sh\n");
      chmodSync(join(root, "tool"), 0o750);
      symlinkSync("tool", join(root, "link"));
      symlinkSync("nowhere", join(root, "broken"));
      symlinkSync("/etc/hostname", join(root, "absolute"));
      mkdirSync(join(root, "read-only"));
      writeFileSync(join(root, "read-only/file"), "kept");
      const deep = join(root, ...Array.from({ length: 9 }, (_, level) => `${level}`.repeat(150)));
      mkdirSync(deep, { recursive: true });
      writeFileSync(join(deep, "file"), "its key would be over 1,024 bytes");
      setTime(Buffer.from(join(root, "plain")), 981_173_106_123_456_789n);
      setTime(Buffer.from(join(root, "binary")), -1n);
      setTime(Buffer.from(join(root, "broken")), 1_700_000_000_000_000_001n);
      setTime(Buffer.from(join(root, "empty/deep")), 1_700_000_000_999_999_999n);
      chmodSync(join(root, "read-only"), 0o555);
      const before = describeTree(root);
      await save();
      expect(describeTree(await restored())).toEqual(before);
    });

    it("brings back trees that nobody thought of", async () => {
      const name = fc
        .oneof(
          fc.string({ minLength: 1, maxLength: 30, unit: "binary" }),
          fc.constantFrom("a", "b", ".hidden", " ", "…"),
        )
        .map((text) => text.replace(/[/\0]/g, "_").toWellFormed())
        .filter((text) => text !== "." && text !== ".." && Buffer.byteLength(text) < 200);
      const tree = fc.letrec<{ node: unknown }>((tie) => ({
        node: fc.oneof(
          { depthSize: "small", withCrossShrink: true },
          fc.record({ bytes: fc.uint8Array({ maxLength: 64 }), mode: fc.constantFrom(0o644, 0o600, 0o755, 0o400) }),
          fc.record({ link: name }),
          fc.dictionary(name, tie("node"), { maxKeys: 4 }),
        ),
      })).node;
      const write = (path: string, node: unknown): void => {
        if (typeof node !== "object" || node === null) return;
        if ("link" in node && typeof node.link === "string") return symlinkSync(node.link, path);
        if ("bytes" in node && node.bytes instanceof Uint8Array)
          return writeFileSync(path, node.bytes, { mode: (node as { mode?: number }).mode ?? 0o644 });
        mkdirSync(path, { recursive: true });
        for (const [child, value] of Object.entries(node)) write(join(path, child), value);
      };
      await fc.assert(
        fc.asyncProperty(fc.dictionary(name, tree, { maxKeys: 6 }), async (content) => {
          rmSync(root, { recursive: true, force: true });
          write(root, content);
          const before = describeTree(root);
          await save();
          expect(describeTree(await restored())).toEqual(before);
        }),
        { numRuns: 40 },
      );
    });

    it("uploads only what changed, and keeps deleted files deleted", async () => {
      for (const name of ["a", "b", "c"]) writeFileSync(join(root, name), name);
      expect(await save()).toMatchObject({ generation: 1, files: 3, uploaded: 3, deleted: 0 });
      expect(await save()).toMatchObject({ generation: 1, uploaded: 0 });
      writeFileSync(join(root, "b"), "changed");
      rmSync(join(root, "c"));
      expect(await save()).toMatchObject({ generation: 2, files: 2, uploaded: 1, deleted: 1 });
      expect(readdirSync(await restored()).sort()).toEqual(["a", "b"]);
      expect(await store.list(objectKey.workspace(record.owner, record.id))).toHaveLength(2);
    });

    it("turns a file into a folder and back", async () => {
      writeFileSync(join(root, "either"), "file");
      await save();
      rmSync(join(root, "either"));
      mkdirSync(join(root, "either"));
      writeFileSync(join(root, "either/inside"), "folder");
      await save();
      expect(readFileSync(join(await restored(), "either/inside"), "utf8")).toBe("folder");
      rmSync(join(root, "either"), { recursive: true });
      writeFileSync(join(root, "either"), "file again");
      await save();
      expect(readFileSync(join(await restored(), "either"), "utf8")).toBe("file again");
    });

    it("names what has no content to keep", async () => {
      execFileSync("mkfifo", [join(root, "pipe")]);
      execFileSync("python3", [
        "-c",
        "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
        join(root, "sock"),
      ]);
      expect(await save()).toMatchObject({ leftOut: 2 });
      expect((await newestSave()).leftOut).toEqual(["pipe", "sock"]);
      expect(describeTree(await restored())).toEqual([]);
    });

    it("gives nobody's rights away: set-uid and set-gid of files are dropped", async () => {
      for (const [name, mode] of [
        ["su", 0o4755],
        ["sg", 0o2755],
        ["sticky", 0o1644],
      ] as const) {
        writeFileSync(join(root, name), "");
        chmodSync(join(root, name), mode);
      }
      await save();
      const target = await restored();
      expect(["su", "sg", "sticky"].map((name) => statSync(join(target, name)).mode & 0o7777)).toEqual([
        0o755, 0o755, 0o644,
      ]);
    });

    it("brings hard links back as one file, and holes as holes", async () => {
      mkdirSync(join(root, "sub"));
      writeFileSync(join(root, "one"), "shared");
      linkSync(join(root, "one"), join(root, "sub/two"));
      const file = openSync(join(root, "sparse"), "w");
      writeSync(file, "begin", 0);
      writeSync(file, "end", 40_000_000);
      ftruncateSync(file, 50_000_000);
      closeSync(file);
      const before = describeTree(root);
      await save();
      const target = await restored();
      expect(describeTree(target)).toEqual(before);
      expect(statSync(join(target, "one")).ino).toBe(statSync(join(target, "sub/two")).ino);
      expect(statSync(join(target, "sparse")).blocks * 512).toBeLessThan(1_000_000);
      const keys = await store.list(objectKey.workspace(record.owner, record.id));
      expect(keys).toHaveLength(3);
    });

    it("brings back big files, which go in parts, and sends them only when they differ", async () => {
      const bytes = randomBytes(20_000_000);
      writeFileSync(join(root, "big"), bytes);
      expect(await save()).toMatchObject({ uploaded: 1, uploadedBytes: 20_000_000 });
      utimesSync(join(root, "big"), 1, 1);
      expect(await save()).toMatchObject({ generation: 2, uploaded: 0 });
      expect(readFileSync(join(await restored(), "big")).equals(bytes)).toBe(true);
      appendFileSync(join(root, "big"), "more");
      expect(await save()).toMatchObject({ generation: 3, uploaded: 1 });
      expect(readFileSync(join(await restored(), "big")).equals(Buffer.concat([bytes, Buffer.from("more")]))).toBe(
        true,
      );
    });

    it("sees a change that hides: the same size, and the times set back", async () => {
      writeFileSync(join(root, "a"), "before");
      setTime(Buffer.from(join(root, "a")), 1_700_000_000_000_000_000n);
      await save();
      writeFileSync(join(root, "a"), "behind");
      setTime(Buffer.from(join(root, "a")), 1_700_000_000_000_000_000n);
      expect(await save()).toMatchObject({ generation: 2, uploaded: 1 });
      expect(readFileSync(join(await restored(), "a"), "utf8")).toBe("behind");
    });

    it("sees a change made at the same moment as the save", async () => {
      for (let round = 0; round < 30; round++) {
        writeFileSync(join(root, "a"), `round ${String(round).padStart(3, "0")}`);
        const saving = save();
        writeFileSync(join(root, "a"), `ROUND ${String(round).padStart(3, "0")}`);
        await saving;
        await save();
        expect(readFileSync(join(await restored(), "a"), "utf8")).toBe(`ROUND ${String(round).padStart(3, "0")}`);
      }
    });

    it("sees what a program writes through a memory map, whose times stand still", async () => {
      writeFileSync(join(root, "map"), Buffer.alloc(8192, "a"));
      const program = spawn("python3", ["-u", "-c", memoryMapProgram, join(root, "map")], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
      try {
        for (const letter of ["b", "c", "d", "e"]) {
          program.stdin.write(`${letter}\n`);
          await lines.next();
          await delay(50);
          await save();
          expect(readFileSync(join(await restored(), "map"), "latin1")[0], letter).toBe(letter);
        }
      } finally {
        program.kill("SIGKILL");
      }
    });

    it("follows nobody out of the workspace who swaps a folder for a link while it is saved", async () => {
      const outside = newFolder();
      writeFileSync(join(outside, "secret"), "of the sync container");
      mkdirSync(join(root, "a"));
      writeFileSync(join(root, "a/first"), "first");
      writeFileSync(join(root, "a/secret"), "mine");
      const { putFile } = store;
      let swaps = 0;
      const swapped = {
        ...store,
        putFile: (...put: Parameters<typeof putFile>) => {
          if (swaps++ === 0) {
            renameSync(join(root, "a"), join(root, "b"));
            symlinkSync(outside, join(root, "a"));
          }
          return putFile(...put);
        },
        // Every file waits for the one before it, so that the second is opened after the swap.
      };
      const report = await saveWorkspace(createSavePlace(swapped), session, {
        root,
        knownFolder: known,
        pod: "pod",
        kind: "checkpoint",
        concurrentFiles: 1,
      });
      expect(report.files).toBe(2);
      const target = await restored();
      expect(readdirSync(join(target, "b")).sort()).toEqual(["first", "secret"]);
      expect(readFileSync(join(target, "b/secret"), "utf8")).toBe("mine");
      for (const { version, key } of (await newestSave()).entries.filter((entry) => entry.type === "file"))
        expect((await store.getText(key, version))?.text).not.toContain("sync container");
    });

    it("says what was in motion when a tree never rests, and saves the rest of it", async () => {
      writeFileSync(join(root, "still"), "still");
      writeFileSync(join(root, "log"), "");
      const { putFile } = store;
      const restless = {
        ...store,
        putFile: (...put: Parameters<typeof putFile>) => (appendFileSync(join(root, "log"), "line"), putFile(...put)),
      };
      expect(
        await saveWorkspace(createSavePlace(restless), session, {
          root,
          knownFolder: known,
          pod: "pod",
          kind: "checkpoint",
        }),
      ).toMatchObject({
        inMotion: ["log"],
        files: 2,
      });
      expect((await newestSave()).inMotion).toEqual(["log"]);
      expect(readFileSync(join(await restored(), "still"), "utf8")).toBe("still");
      expect(await save()).toMatchObject({ inMotion: [] });
      expect(describeTree(await restored())).toEqual(describeTree(root));
    });

    it("knows without asking anybody that nothing has changed", async () => {
      mkdirSync(join(root, "folder"));
      writeFileSync(join(root, "folder/a"), "a");
      expect(isSaved({ root, knownFolder: known })).toBe(false);
      await delay(50);
      await save();
      expect(isSaved({ root, knownFolder: known })).toBe(true);
      for (const change of [
        () => writeFileSync(join(root, "folder/a"), "b"),
        () => chmodSync(join(root, "folder/a"), 0o600),
        () => chmodSync(join(root, "folder"), 0o700),
        () => renameSync(join(root, "folder/a"), join(root, "folder/b")),
        () => symlinkSync("b", join(root, "link")),
        () => rmSync(join(root, "link")),
        () => mkdirSync(join(root, "empty")),
        () => utimesSync(join(root, "folder"), 1, 1),
      ]) {
        change();
        expect(isSaved({ root, knownFolder: known }), change.toString()).toBe(false);
        await delay(50);
        await save();
        expect(isSaved({ root, knownFolder: known })).toBe(true);
      }
    });

    it("goes on from what a restore knows, and reads no file that it wrote", async () => {
      for (const name of ["a", "b"]) writeFileSync(join(root, name), name);
      await save();
      const [target, its] = [newFolder(), newFolder()];
      await restoreWorkspace(createSavePlace(store), session, { root: target, knownFolder: its, pod: "pod" });
      expect(isSaved({ root: target, knownFolder: its })).toBe(true);
      writeFileSync(join(target, "a"), "changed");
      expect(await save({ root: target, knownFolder: its })).toMatchObject({ generation: 2, uploaded: 1 });
    });

    it("notes that a pod of the session was lost when another one restores for it", async () => {
      writeFileSync(join(root, "a"), "a");
      await save();
      const lossNoted = async () => (await createObjectStoreRecords(store).read(record.owner.id, record.id))?.lastLoss;
      const restoreIn = (pod: string) =>
        restoreWorkspace(createSavePlace(store), session, { root: newFolder(), knownFolder: newFolder(), pod });
      await restoreIn("first");
      await restoreIn("first");
      expect(await lossNoted()).toBeUndefined();
      await noteGone(createObjectStoreRecords(store), session, "first");
      await restoreIn("second");
      expect(await lossNoted()).toMatchObject({ sessionId: session.id, generation: 1 });
    });

    it("refuses a pod that was given up for lost and lives on, as soon as another one restores", async () => {
      writeFileSync(join(root, "a"), "a");
      await save();
      const [first, second] = [newFolder(), newFolder()];
      const [knownToFirst, knownToSecond] = [newFolder(), newFolder()];
      await restoreWorkspace(createSavePlace(store), session, { root: first, knownFolder: knownToFirst, pod: "first" });
      writeFileSync(join(first, "a"), "written in the first");
      await noteGone(createObjectStoreRecords(store), session, "first");
      await restoreWorkspace(createSavePlace(store), session, {
        root: second,
        knownFolder: knownToSecond,
        pod: "second",
      });
      const inFirst = { root: first, knownFolder: knownToFirst, pod: "first" };
      await expect(save(inFirst)).rejects.toMatchObject({ code: "conflict" });
      writeFileSync(join(second, "a"), "written in the second");
      await save({ root: second, knownFolder: knownToSecond, pod: "second" });
      await expect(save(inFirst)).rejects.toMatchObject({ code: "conflict" });
      const { lastSave } = (await createObjectStoreRecords(store).read(record.owner.id, record.id)) ?? {};
      expect(lastSave?.generation).toBe(2);
    });

    it("makes way when it is told to, and leaves the save before as the newest", async () => {
      writeFileSync(join(root, "a"), "a");
      await save();
      writeFileSync(join(root, "a"), "b");
      await expect(save({ mustGiveUp: () => true })).rejects.toThrow("make way");
      expect((await newestSave()).generation).toBe(1);
      expect(await save()).toMatchObject({ generation: 2, uploaded: 1 });
    });

    it("passes over the number of a manifest that never became a save, and keeps the chain", async () => {
      writeFileSync(join(root, "a"), "a");
      await save();
      await store.putText(objectKey.save(record.id, 2), "left by an attempt that was killed");
      writeFileSync(join(root, "a"), "b");
      expect(await save()).toMatchObject({ generation: 3 });
      expect(await newestSave()).toMatchObject({ generation: 3, parent: 1 });
      expect(readFileSync(join(await restored(), "a"), "utf8")).toBe("b");
    });

    it("refuses the save of a session that is no longer the writer, and changes nothing", async () => {
      writeFileSync(join(root, "a"), "a");
      await save();
      await createObjectStoreRecords(store).update(record.owner.id, record.id, (current) => ({
        ...current,
        sessionId: "another",
      }));
      writeFileSync(join(root, "a"), "stale");
      const versions = async () => {
        const all = [];
        for await (const page of store.listVersions(objectKey.workspace(record.owner, record.id))) all.push(...page);
        return all.map(({ version }) => version).sort();
      };
      const before = await versions();
      await expect(save()).rejects.toMatchObject({ code: "conflict" });
      expect(await versions()).toEqual(before);
      expect((await createObjectStoreRecords(store).read(record.owner.id, record.id))?.lastSave?.generation).toBe(1);
      await expect(restored()).rejects.toMatchObject({ code: "conflict" });
    });

    it("lets one of two saves at once win", async () => {
      writeFileSync(join(root, "a"), "a");
      const outcomes = await Promise.allSettled([save(), save({ knownFolder: newFolder() })]);
      const won = outcomes.filter(({ status }) => status === "fulfilled");
      expect(won).toHaveLength(1);
      expect((await createObjectStoreRecords(store).read(record.owner.id, record.id))?.lastSave?.generation).toBe(1);
      expect(readFileSync(join(await restored(), "a"), "utf8")).toBe("a");
    });
  });
}
