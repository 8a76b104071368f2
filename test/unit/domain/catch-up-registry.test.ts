import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { catchUpRegistry } from "../../../domain/catch-up-registry.ts";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRegistry, createSavePlace } from "../../../domain/object-store-registry.ts";
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
    expect(await catchUpRegistry(store, registry)).toEqual([record.id]);
    const found = await registry.read(record.owner.id, record.id);
    expect(found).toMatchObject({ name: record.name, lastSave: { generation: 5 } });
    expect(await catchUpRegistry(store, registry)).toEqual([]);

    const root = newFolder();
    await restoreWorkspace(createSavePlace(store), repl.session, { root, knownFolder: newFolder(), pod: "p" });
    expect(readFileSync(join(root, "a"), "utf8")).toBe("five");
  });
});
