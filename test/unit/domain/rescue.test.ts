import { afterEach, describe, expect, it } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { findRescued, listRescued, openRescuePlace, readRescued } from "../../../domain/rescue.ts";
import { saveWorkspace } from "../../../sync/save.ts";
import { asSessionKeysSee, createFakeObjectStore } from "../../fakes/object-store.ts";
import { newFolder, removeFolders, writeTree } from "../../setup/trees.ts";

describe("a rescued workspace", () => {
  afterEach(removeFolders);
  const session = { id: "s-orphan", replId: "repl-x", userId: "7" };
  /** A name that its REPL's own key still takes, and no key below the prefix of what is rescued. */
  const longPath = Array.from({ length: 9 }, () => "n".repeat(105)).join("/");

  async function rescue() {
    const { store, allKeys } = createFakeObjectStore();
    const before = allKeys();
    const root = newFolder();
    writeTree(root, { "src/main.py": "work that no save has", [longPath]: "far down", "new\nline": "odd" });
    const place = await openRescuePlace(asSessionKeysSee(store), session);
    const options = { root, knownFolder: newFolder(), pod: "p", kind: "close" as const };
    await saveWorkspace(place, session, options);
    // A repetition finds what is there.
    await saveWorkspace(await openRescuePlace(asSessionKeysSee(store), session), session, options);
    return { store, keys: allKeys().filter((key) => !before.includes(key)) };
  }

  it("lies below a prefix of its own, and nothing of it beside that", async () => {
    const { keys } = await rescue();
    expect(keys.length).toBeGreaterThan(3);
    for (const key of keys) expect(key.startsWith(objectKey.rescuedSession(session.replId, session.id))).toBe(true);
    for (const key of keys) expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1024);
  });

  it("is found by its owner, and by nobody else", async () => {
    const { store } = await rescue();
    expect(await listRescued(store, session.userId)).toMatchObject([
      { replId: "repl-x", sessionId: "s-orphan", save: { generation: 1, files: 3 } },
    ]);
    expect(await listRescued(store, "8")).toEqual([]);
    expect(await findRescued(store, { ...session, userId: "8" })).toBeUndefined();
    expect(await findRescued(store, { ...session, id: "s-other" })).toBeUndefined();
  });

  it("reads as it was, each file by its key and version in the whole bucket", async () => {
    const { store } = await rescue();
    const [rescued] = await listRescued(store, session.userId);
    if (!rescued) throw new Error("it was rescued");
    const contents = new Map<string, string | undefined>();
    for (const entry of await readRescued(store, rescued))
      if (entry.type === "file") contents.set(entry.path, (await store.getText(entry.key, entry.version))?.text);
    expect(Object.fromEntries(contents)).toEqual({
      "src/main.py": "work that no save has",
      [longPath]: "far down",
      "new\nline": "odd",
    });
  });
});
