import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import type { ReplRecord } from "../../../domain/repl.ts";
import { listSaves } from "../../../domain/save-history.ts";
import { createObjectStoreRecords, createSavePlace } from "../../../domain/object-store-registry.ts";
import { readSave } from "../../../domain/read-save.ts";
import { restoreWorkspace } from "../../../sync/restore.ts";
import { saveWorkspace } from "../../../sync/save.ts";
import { describeSaves } from "../../contracts/saves.ts";
import { asSessionKeysSee, createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord, newSession } from "../../fakes/records.ts";
import { describeTree, newFolder, removeFolders } from "../../setup/trees.ts";

describeSaves(() => createFakeObjectStore().store);

describe("save and restore on a store that breaks", () => {
  let fake: ReturnType<typeof createFakeObjectStore>;
  let record: ReturnType<typeof newRecord>;
  let session: ReturnType<typeof newSession>;
  let root: string;
  let known: string;
  beforeEach(async () => {
    fake = createFakeObjectStore();
    record = newRecord();
    session = newSession(record);
    await createObjectStoreRecords(fake.store).create({ ...record, sessionId: session.id });
    root = newFolder();
    known = newFolder();
  });
  afterEach(removeFolders);
  const save = () =>
    saveWorkspace(createSavePlace(asSessionKeysSee(fake.store)), session, {
      root,
      knownFolder: known,
      pod: "pod",
      kind: "checkpoint",
    });
  const restored = async () => {
    const target = newFolder();
    await restoreWorkspace(createSavePlace(asSessionKeysSee(fake.store)), session, {
      root: target,
      knownFolder: newFolder(),
      pod: "pod",
      patience: { tries: 2, firstPauseMs: 1 },
    });
    return target;
  };

  it("is all or nothing: a save that breaks anywhere leaves the one before it as the newest", async () => {
    for (const name of ["a", "b", "c"]) writeFileSync(join(root, name), name);
    await save();
    const before = describeTree(await restored());
    for (const name of ["a", "b", "d"]) writeFileSync(join(root, name), `${name} changed`);
    let calls = 0;
    for (let breakAt = 1; breakAt <= 6; breakAt++) {
      calls = 0;
      fake.failWhen((operation) =>
        operation === "put" && ++calls >= breakAt ? new Error("the store broke") : undefined,
      );
      const outcome = await save().then(
        () => "saved",
        () => "broke",
      );
      fake.failWhen(undefined);
      if (outcome === "saved") break;
      expect(describeTree(await restored()), `broken at write ${breakAt}`).toEqual(before);
    }
    await save();
    expect(describeTree(await restored())).toEqual(describeTree(root));
  });

  it("stores a file once, however often the save after it breaks", async () => {
    writeFileSync(join(root, "a"), "a");
    await save();
    writeFileSync(join(root, "b"), "b");
    writeFileSync(join(root, "c"), "c");
    const stored: string[] = [];
    fake.failWhen((operation, key) => {
      if (operation === "put" && !key.startsWith(".devex/")) stored.push(key);
      return operation === "put" && key.startsWith(".devex/saves/") ? new Error("the store broke") : undefined;
    });
    for (let attempt = 0; attempt < 3; attempt++) await expect(save()).rejects.toThrow("the store broke");
    fake.failWhen(undefined);
    await save();
    expect(stored).toHaveLength(2);
    expect(describeTree(await restored())).toEqual(describeTree(root));
  });

  it("takes a save as made whose answer was lost", async () => {
    writeFileSync(join(root, "a"), "a");
    let lost = 0;
    fake.loseAnswerWhen((operation, key) => operation === "put" && key.startsWith(".devex/repls/") && lost++ === 0);
    await expect(save()).rejects.toThrow("lost");
    expect(await save()).toMatchObject({ files: 1 });
    expect((await createObjectStoreRecords(fake.store).read(record.owner.id, record.id))?.lastSave?.generation).toBe(1);
  });

  it("goes on after any number of manifests that never became saves, and those are no saves", async () => {
    writeFileSync(join(root, "a"), "a");
    await save();
    fake.failWhen((operation, key) =>
      operation === "put" && key.startsWith(".devex/repls/") ? new ReplError("unavailable", "no record") : undefined,
    );
    writeFileSync(join(root, "a"), "b");
    for (let attempt = 0; attempt < 200; attempt++) await expect(save()).rejects.toThrow("no record");
    let reads = 0;
    fake.failWhen((operation, key) => void (operation === "get" && key.startsWith(".devex/saves/") && reads++));
    // Attempts of one millisecond have the same manifest, which is stored once.
    const { generation: newest } = await save();
    expect(newest).toBeGreaterThan(100);
    expect(newest).toBeLessThanOrEqual(202);
    expect(reads).toBeLessThan(25);
    writeFileSync(join(root, "a"), "c");
    expect(await save()).toMatchObject({ generation: newest + 1 });
    fake.failWhen(undefined);
    const now = await createObjectStoreRecords(fake.store).read(record.owner.id, record.id);
    const { saves } = await listSaves(fake.store, now as ReplRecord, { limit: 300 });
    expect(saves.map(({ generation, parent }) => [generation, parent])).toEqual([
      [newest + 1, newest],
      [newest, 1],
      [1, 0],
    ]);
    expect(describeTree(await restored())).toEqual(describeTree(root));
  });

  it("refuses to restore less than everything, and names the file", async () => {
    writeFileSync(join(root, "lost"), "a");
    await save();
    const { lastSave } = (await createObjectStoreRecords(fake.store).read(record.owner.id, record.id)) ?? {};
    const [entry] = lastSave ? (await readSave(fake.store, record.id, lastSave)).entries : [];
    if (entry?.type !== "file") throw new Error("a file was saved");
    await fake.store.purge(entry.key);
    await expect(restored()).rejects.toThrow("lost");
  });

  it("refuses to restore bytes that are not those that were saved", async () => {
    writeFileSync(join(root, "bent"), "straight");
    await save();
    fake.bend("bent");
    await expect(restored()).rejects.toThrow("bent");
    expect(readFileSync(join(root, "bent"), "utf8")).toBe("straight");
  });
});
