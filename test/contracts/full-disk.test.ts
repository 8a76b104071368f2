import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createSavePlace } from "../../domain/object-store-registry.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import { saveWorkspace } from "../../sync/save.ts";
import { newReplOnStack } from "../setup/stack-repl.ts";
import { describeTree, newFolder, removeFolders } from "../setup/trees.ts";

const diskMegabytes = 4;
const chunkBytes = 100_000;
const mounts: string[] = [];

/** A small disk of its own. */
function smallDisk(): string {
  const folder = newFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${diskMegabytes}m`, "tmpfs", folder]);
  mounts.push(folder);
  return folder;
}

/** Writes until nothing more fits, not even a byte. */
function fill(folder: string): void {
  for (let size = chunkBytes, file = 0; size >= 1; file++) {
    try {
      appendFileSync(join(folder, `file ${file}`), "x".repeat(size));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
      size = Math.floor(size / 2);
    }
  }
  expect(statfsSync(folder).bavail).toBe(0);
}

afterEach(() => {
  for (const folder of mounts.splice(0)) execFileSync("umount", [folder]);
});
afterAll(removeFolders);

describe("a disk that is full", () => {
  it("is saved to the last byte, also when the saves have no room for what they know", async () => {
    const { store, session } = await newReplOnStack();
    const disk = smallDisk();
    const [root, knownFolder] = [join(disk, "files"), join(disk, "known")];
    mkdirSync(root);
    mkdirSync(knownFolder);
    const options = { root, knownFolder, pod: "pod", kind: "checkpoint" } as const;
    writeFileSync(join(root, "first"), "first");
    await saveWorkspace(createSavePlace(store), session, options);
    for (const round of [1, 2]) {
      rmSync(join(root, "first"), { force: true });
      fill(root);
      const saved = await saveWorkspace(createSavePlace(store), session, options);
      expect(saved.generation).toBe(round + 1);
      const target = newFolder();
      await restoreWorkspace(createSavePlace(store), session, { root: target, knownFolder: newFolder(), pod: "pod" });
      expect(describeTree(target)).toEqual(describeTree(root));
      rmSync(join(root, "file 0"));
    }
  });

  it("fails a restore that does not fit, with a reason, and leaves the save as it is", async () => {
    const { store, session } = await newReplOnStack();
    const root = newFolder();
    writeFileSync(join(root, "large"), "x".repeat((diskMegabytes + 1) * 2 ** 20));
    await saveWorkspace(createSavePlace(store), session, {
      root,
      knownFolder: newFolder(),
      pod: "pod",
      kind: "checkpoint",
    });
    const restore = (target: string) =>
      restoreWorkspace(createSavePlace(store), session, { root: target, knownFolder: newFolder(), pod: "pod" });
    await expect(restore(smallDisk())).rejects.toThrow(/large.*(ENOSPC|no space left)/);
    const target = newFolder();
    await restore(target);
    expect(describeTree(target)).toEqual(describeTree(root));
  });
});
