import { chmodSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type * as Boot from "../../../sync/boot.ts";
import { bootId, bootOfMarker } from "../../../sync/boot.ts";
import { isSaved } from "../../../sync/save.ts";
import { newSyncRepl } from "../../setup/sync-repl.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

const boot = vi.hoisted(() => ({ id: undefined as string | undefined }));
vi.mock("../../../sync/boot.ts", async (original) => {
  const real = await original<typeof Boot>();
  return { ...real, bootId: () => boot.id ?? real.bootId() };
});

describe("the first save after a machine has gone down", () => {
  let repl: Awaited<ReturnType<typeof newSyncRepl>>;
  beforeEach(async () => {
    boot.id = "before";
    repl = await newSyncRepl();
    for (const name of ["emptied", "zeros", "shortened", "mine", "still"]) writeFileSync(join(repl.root, name), name);
    writeFileSync(join(repl.root, "big"), Buffer.alloc(6_000_000, "a"));
    await repl.save();
    crash();
  });
  afterEach(removeFolders);

  /** What a file system does to files that were not on its disk yet. */
  function crash(): void {
    writeFileSync(join(repl.root, "emptied"), "");
    writeFileSync(join(repl.root, "zeros"), Buffer.alloc(5));
    truncateSync(join(repl.root, "shortened"), 3);
    writeFileSync(join(repl.root, "big"), Buffer.alloc(6_000_000));
    writeFileSync(join(repl.root, "mine"), "changed by me");
    writeFileSync(join(repl.root, "new"), "");
    boot.id = "after";
  }
  const contentOf = async (name: string) => readFileSync(join(await repl.restored(), name), "utf8");
  const keptPaths = ["big", "emptied", "zeros"];

  it("does not take emptied files for changed ones, keeps the good ones and says so", async () => {
    const { notSaved } = await repl.save();
    expect(notSaved?.first.map(({ path, isKept }) => [path, isKept])).toEqual(keptPaths.map((path) => [path, true]));
    expect(notSaved?.first[0]?.why).toContain("since the machine went down");
    expect([await contentOf("emptied"), await contentOf("zeros")]).toEqual(["emptied", "zeros"]);
    expect([await contentOf("mine"), await contentOf("shortened")]).toEqual(["changed by me", "sho"]);
  });

  it("does not take an older file for a changed one, and one that is only older for neither", async () => {
    const { lastSave, root } = repl;
    boot.id = "before";
    writeFileSync(join(root, "mine"), "newest");
    await repl.save();
    const saved = (await lastSave())?.generation;
    const hourAgo = Date.now() / 1000 - 3600;
    writeFileSync(join(root, "mine"), "before");
    for (const name of ["mine", "still"]) utimesSync(join(root, name), hourAgo, hourAgo);
    boot.id = "after";
    const { notSaved, generation } = await repl.save();
    expect(generation).toBe((saved ?? 0) + 1);
    const older = notSaved?.first.filter(({ why }) => why.includes("older since the machine went down"));
    expect(older?.map(({ path, isKept }) => [path, isKept])).toEqual([["mine", true]]);
    expect([await contentOf("mine"), await contentOf("still")]).toEqual(["newest", "still"]);
    writeFileSync(join(root, "mine"), "as it is");
    await repl.save();
    expect(await contentOf("mine")).toBe("as it is");
  });

  it("goes on saying so in later saves, until the files change again", async () => {
    await delay(50);
    await repl.save();
    expect(isSaved(repl.here)).toBe(true);
    writeFileSync(join(repl.root, "still"), "changed");
    expect(await repl.save()).toMatchObject({ notSaved: { count: 3 } });
    expect(await contentOf("emptied")).toBe("emptied");
    chmodSync(join(repl.root, "emptied"), 0o600);
    writeFileSync(join(repl.root, "zeros"), "written again");
    expect(await repl.save({ kind: "close" })).toMatchObject({ notSaved: { count: 1 } });
    expect([await contentOf("emptied"), await contentOf("zeros")]).toEqual(["", "written again"]);
  });

  it("finds them also where what the pod knew of its files was lost, too", async () => {
    rmSync(repl.knownFolder, { recursive: true });
    const { notSaved } = await repl.save({ restoredInBoot: "before" });
    expect(notSaved?.first.map(({ path }) => path)).toEqual(keptPaths);
    expect(await contentOf("emptied")).toBe("emptied");
  });

  it("is any save where the machine has not: an emptied file is one that somebody emptied", async () => {
    boot.id = "before";
    expect(await repl.save({ restoredInBoot: "before" })).not.toHaveProperty("notSaved");
    expect(await contentOf("emptied")).toBe("");
  });

  it("tells one start of the machine from the other, and the marker of a restore says which it was", () => {
    boot.id = undefined;
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
    const marker = join(newFolder(), "restored");
    expect(bootOfMarker(marker)).toBeUndefined();
    writeFileSync(marker, JSON.stringify({ generation: 1, boot: bootId() }));
    expect(bootOfMarker(marker)).toBe(bootId());
  });
});
