import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { missingFiles } from "../../../domain/missing-files.ts";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { readSave } from "../../../domain/read-save.ts";
import { createManifest, type FileEntry } from "../../../domain/save.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { removeFolders } from "../../setup/trees.ts";

afterEach(removeFolders);

describe("missing files of a save", () => {
  const { store } = createFakeObjectStore();
  const record = newRecord();
  let repl: Awaited<ReturnType<typeof savedRepl>>;
  beforeEach(async () => {
    await createObjectStoreRegistry(store).create(record);
    repl = await savedRepl(store, { id: record.id, userId: record.owner.id });
  });
  const newest = async () => {
    const { lastSave } = (await createObjectStoreRegistry(store).read(record.owner.id, record.id)) ?? {};
    if (!lastSave) throw new Error("there is a save");
    return readSave(store, record.id, lastSave);
  };

  it("are none of a save that is whole, also when they are hidden or stored again since", async () => {
    for (const path of ["a", "a b", "src/a", "src/a b", "odd\nname"]) repl.write(path, path);
    await repl.save();
    const manifest = await newest();
    const workspace = objectKey.workspace(record.owner, record.id);
    await store.putText(`${workspace}a`, "newer");
    await store.remove([`${workspace}src/a`]);
    expect(await missingFiles(store, manifest, false)).toEqual([]);
  });

  it("are told by their paths, odd ones too", async () => {
    for (const path of ["a", "a b", "odd\nname"]) repl.write(path, path);
    await repl.save();
    const manifest = await newest();
    const gone = manifest.entries.filter((entry): entry is FileEntry => entry.type === "file" && entry.path !== "a b");
    await store.removeVersions(gone);
    expect((await missingFiles(store, manifest, false)).sort()).toEqual(["a", "odd\nname"]);
  });

  describe("of a save of many files", () => {
    const files = Array.from({ length: 1500 }, (_, at) => `ada/repl-many/${at}`);
    const manifest = createManifest(
      {
        replId: "repl-many",
        generation: 1,
        parent: 0,
        sessionId: "s",
        createdAt: "2026-01-01T00:00:00.000Z",
        kind: "close",
        leftOut: [],
        inMotion: [],
      },
      files.map((key) => ({
        type: "file",
        path: key,
        mode: 0o644,
        mtimeNs: "0",
        sizeBytes: 1,
        sha256: "s",
        key,
        version: "v",
      })),
    );
    /** As the store lists them: pages of 1000, in the order of their keys. */
    function listing(there: readonly string[]) {
      const asked: string[] = [];
      return {
        asked,
        async *listVersions(prefix: string) {
          asked.push(prefix);
          const keys = there.filter((key) => key.startsWith(prefix)).sort();
          for (let at = 0; at < keys.length; at += 1000)
            yield keys
              .slice(at, at + 1000)
              .map((key) => ({ key, version: "v", modifiedAt: new Date(0), isMarker: false }));
        },
      };
    }

    it("are looked for in a sample, and all of them when asked for", async () => {
      const whole = listing(files);
      expect(await missingFiles(whole, manifest, false)).toEqual([]);
      expect(new Set(whole.asked).size).toBe(20);
      const without = listing(files.filter((key) => key !== "ada/repl-many/777"));
      expect(await missingFiles(without, manifest, true)).toEqual(["ada/repl-many/777"]);
      expect(without.asked).toEqual(["ada/repl-many/"]);
      expect(await missingFiles(listing([]), manifest, false)).toHaveLength(20);
    });
  });
});
