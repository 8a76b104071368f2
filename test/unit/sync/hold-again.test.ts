import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lossesOf } from "../../../domain/losses.ts";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import { holdAgain } from "../../../sync/restore.ts";
import { newSyncRepl } from "../../setup/sync-repl.ts";
import { removeFolders } from "../../setup/trees.ts";

describe("a pod that lives on after it has handed over", () => {
  let repl: Awaited<ReturnType<typeof newSyncRepl>>;
  const current = async () => {
    const { owner, id } = repl.record;
    return createObjectStoreRecords(repl.store).read(owner.id, id);
  };
  const hold = () => holdAgain(repl.place.pointer, repl.session, repl.here);
  const another = () => ({ session: repl.session, pod: "another" });

  beforeEach(async () => {
    repl = await newSyncRepl();
    const writer = { session: repl.session, pod: "pod" };
    await repl.place.pointer.claim(repl.session, "pod");
    await repl.place.pointer.filled(writer);
    writeFileSync(join(repl.root, "file"), "before");
    await repl.save();
    await repl.place.pointer.release(writer);
  });
  afterEach(removeFolders);

  it("holds its files again before anybody is let in, and its loss is told", async () => {
    expect(await hold()).toBe(true);
    expect((await current())?.restored).toEqual({
      sessionId: repl.session.id,
      pod: "pod",
      at: expect.any(String) as string,
    });
    // Idempotent.
    expect(await hold()).toBe(true);
    expect(await repl.place.pointer.claimWhenFree(repl.session, "another")).toEqual({ heldBy: "pod" });
    await repl.place.pointer.claim(repl.session, "another");
    expect((await current())?.lastLoss).toMatchObject({ sessionId: repl.session.id, generation: 1 });
  });

  it("goes on with its own files where another pod had them and has not saved", async () => {
    await repl.place.pointer.claim(repl.session, "another");
    await repl.place.pointer.release(another());
    expect(await hold()).toBe(true);
    expect((await current())?.restored).not.toHaveProperty("filling");
  });

  it("waits for a pod that has its place now", async () => {
    await repl.place.pointer.claim(repl.session, "another");
    await repl.place.pointer.filled(another());
    await expect(hold()).rejects.toMatchObject({ code: "unavailable" });
    expect((await current())?.restored).toMatchObject({ pod: "another" });
  });

  it("has lost nothing of what it could not save", async () => {
    await hold();
    await repl.place.pointer.release({ session: repl.session, pod: "pod" }, "1 path: big.iso");
    expect(lossesOf((await current()) as never, repl.session)).toMatch(/went with the old one: 1 path: big\.iso/);
    await hold();
    expect(lossesOf((await current()) as never, repl.session)).toBeUndefined();
  });

  it.each(["another pod has saved", "it does not know what it has saved"])("restores where %s", async (why) => {
    if (why === "another pod has saved") {
      await repl.place.pointer.claim(repl.session, "another");
      await repl.place.pointer.filled(another());
      const save = { ...(await repl.lastSave()), generation: 2, version: "of another" };
      await repl.place.pointer.move(another(), 1, save as never);
      await repl.place.pointer.release(another());
    } else rmSync(join(repl.knownFolder, "tree.json"));
    expect(await hold()).toBe(false);
    // Of what it is filled with anew nothing can be lost with it, until somebody is let in.
    if (why === "another pod has saved")
      expect((await current())?.restored).toMatchObject({ pod: "pod", filling: true });
  });
});
