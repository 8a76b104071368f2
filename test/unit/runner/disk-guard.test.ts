import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { guardDisk } from "../../../runner/disk-guard.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

const plenty = { limitBytes: 2 ** 40, maximumFiles: 1e6 };
const patience = { timeout: 20_000 };

describe("the guard of the disk", () => {
  let stop = () => {};
  afterEach(() => {
    stop();
    removeFolders();
  });

  function watch(limits: Partial<typeof plenty>) {
    const [workspace, home] = [newFolder(), newFolder()];
    const told: string[] = [];
    let ends = 0;
    stop = guardDisk({
      folders: [workspace, home],
      savedFolder: workspace,
      ...plenty,
      ...limits,
      endPrograms: async () => ++ends,
      tell: (message) => void told.push(message),
    });
    return { workspace, home, told, ends: () => ends };
  }
  function fill(folder: string, files: number): void {
    for (let file = 0; file < files; file++) writeFileSync(join(folder, String(file)), "");
  }

  it("ends programs when there are more files than can be saved, empty ones too, once for each further quarter", async () => {
    const { workspace, home, told, ends } = watch({ maximumFiles: 100 });
    // What is not saved may be as much as anybody likes.
    fill(home, 300);
    mkdirSync(join(workspace, "folder"));
    fill(join(workspace, "folder"), 110);
    await expect.poll(ends, patience).toBe(1);
    expect(told).toEqual([
      "This REPL has 112 files and folders, and 100 can be saved and opened again. " +
        "All programs were ended, nothing was removed: remove what you do not need.",
    ]);
    fill(workspace, 50);
    await expect.poll(ends, patience).toBe(2);
  });

  it("counts every name of a file: a save and its restore have one of each", async () => {
    const { workspace, told, ends } = watch({ maximumFiles: 100 });
    writeFileSync(join(workspace, "file"), "");
    for (let name = 1; name <= 110; name++) linkSync(join(workspace, "file"), join(workspace, String(name)));
    await expect.poll(ends, patience).toBe(1);
    expect(told[0]).toContain("112 files and folders");
  });

  it("ends programs when files take more than they may, wherever they are", async () => {
    const { home, told, ends } = watch({ limitBytes: 2 ** 20 });
    writeFileSync(join(home, "big"), Buffer.alloc(2 ** 21, "x"));
    await expect.poll(ends, patience).toBe(1);
    expect(told[0]).toContain("and they may take 1 MiB");
  });
});
