import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import diffMatchPatch from "diff-match-patch";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { replaceFile } from "../../../runner/replace-file.ts";
import { createWorkspace } from "../../../runner/workspace.ts";
import { walk } from "../../../sync/walk.ts";

/** Several people, and programs, at one place at the same moment: nobody loses what they were told is there. */
describe("the workspace, many at once", () => {
  const rounds = 200;
  const patcher = new diffMatchPatch.diff_match_patch();
  let root: string;
  let workspace: ReturnType<typeof createWorkspace>;
  const at = (path: string) => join(root, path);
  const put = (path: string, content: string) => writeFileSync(at(path), content);
  const succeeded = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false,
    );
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "races-"));
    workspace = createWorkspace(root);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it.each(["rename", "move"] as const)("of two files that get one name by %s both stay", async (name) => {
    for (let round = 0; round < rounds; round++) {
      for (const side of ["a", "b"]) {
        mkdirSync(at(`${side}${round}`));
        put(`${side}${round}/file`, side);
      }
      mkdirSync(at(`to${round}`));
      const target = `to${round}/file`;
      const outcomes = await Promise.all([
        succeeded(workspace[name](`a${round}/file`, target)),
        succeeded(workspace[name](`b${round}/file`, target)),
      ]);
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      const left = [`a${round}/file`, `b${round}/file`, target].filter((path) => existsSync(at(path)));
      expect(left).toHaveLength(2);
    }
  });

  it("a folder is never put over another that is not empty, nor in itself, and leaves nothing", async () => {
    for (const name of ["one", "two", "from"]) mkdirSync(at(name));
    put("two/file", "precious");
    await expect(workspace.rename("one", "two")).rejects.toThrow("two exists already");
    mkdirSync(at("from/two"));
    await expect(workspace.move("two", "from")).rejects.toThrow("from/two exists already");
    await expect(workspace.rename("from", "from/below")).rejects.toThrow("cannot be moved there");
    expect(readdirSync(at("from"))).toEqual(["two"]);
    await workspace.rename("two", "three");
    expect([existsSync(at("two")), readFileSync(at("three/file"), "utf8")]).toEqual([false, "precious"]);
  });

  it("copies under one name are told apart", async () => {
    for (let round = 0; round < rounds; round++) {
      put(`a${round}`, "a");
      put(`b${round}`, "b");
      const places = await Promise.all(["a", "b"].map((side) => workspace.copy(`${side}${round}`, `c${round}`)));
      expect(places.map((place) => readFileSync(at(place), "utf8"))).toEqual(["a", "b"]);
    }
  });

  it("what a program makes while a file of that name is copied stays", async () => {
    let beside = 0;
    put("source", "x".repeat(100));
    for (let round = 0; round < rounds; round++) {
      const copying = workspace.copy("source", `t${round}`);
      await delay(Math.random());
      try {
        writeFileSync(at(`t${round}`), "precious", { flag: "wx" });
        beside++;
      } catch {
        // The copy was first.
      }
      const place = await copying;
      expect(readFileSync(at(place), "utf8")).toBe("x".repeat(100));
      expect(readFileSync(at(`t${round}`), "utf8").length).toBe(place === `t${round}` ? 100 : "precious".length);
    }
    expect(beside).toBeGreaterThan(0);
  });

  it("what others put into a folder while it is copied stays, also when the copy fails", async () => {
    mkdirSync(at("project/below"), { recursive: true });
    for (let index = 0; index < 3000; index++) put(`project/${index}`, "x");
    // Another one's file of this name is in the way.
    put("project/zzz", "x");
    const copying = workspace.copy("project", "copy");
    const failing = expect(copying).rejects.toThrow("copy is copied in part only");
    await expect.poll(() => existsSync(at("copy")), { interval: 1 }).toBe(true);
    put("copy/zzz", "precious");
    await workspace.createFile("copy/notes");
    await failing;
    expect(readFileSync(at("copy/zzz"), "utf8")).toBe("precious");
    expect(existsSync(at("copy/notes"))).toBe(true);
  });

  it("copies a folder with its mode and without its sockets and FIFOs", async () => {
    mkdirSync(at("project"), { mode: 0o750 });
    put("project/file", "x");
    execFileSync("mkfifo", [at("project/pipe")]);
    expect(await workspace.copy("project", "copy")).toBe("copy");
    expect(readdirSync(at("copy"))).toEqual(["file"]);
    expect(statSync(at("copy")).mode & 0o777).toBe(0o750);
    await expect(workspace.copy("project/pipe", "copy")).rejects.toThrow("a copy of no file, folder or link");
    expect(readdirSync(at("copy"))).toEqual(["file"]);
  });

  it("an edit is not put over an upload that it has not seen", async () => {
    let together = 0;
    for (let round = 0; round < 2 * rounds; round++) {
      const before = "one\n".repeat(5);
      put(`f${round}`, before);
      const patch = patcher.patch_toText(patcher.patch_make(before, `${before}edited\n`));
      const patching = succeeded(workspace.patch(`f${round}`, patch));
      await delay(Math.random() * 2);
      const fill = async (temporary: string) => writeFileSync(temporary, `${before}uploaded\n`);
      expect(await replaceFile(at(`f${round}`), fill, () => true)).toBe(true);
      if (!(await patching)) continue;
      together++;
      expect(readFileSync(at(`f${round}`), "utf8")).toContain("uploaded");
    }
    expect(together).toBeGreaterThan(0);
  });

  it("a name of the runner's own is refused: no save has such a file", async () => {
    const own = ".0123456789ab.devex-tmp";
    put("file", "x");
    const refusal = "is a name that this REPL keeps for itself";
    await expect(workspace.createFile(own)).rejects.toThrow(refusal);
    await expect(workspace.createFolder(own)).rejects.toThrow(refusal);
    await expect(workspace.rename("file", own)).rejects.toThrow(refusal);
    await expect(workspace.move("file", own)).rejects.toThrow(refusal);
    await expect(workspace.copy("file", own)).rejects.toThrow(refusal);
    await expect(workspace.locateForWriting(own)).rejects.toThrow(refusal);
    expect(readdirSync(root)).toEqual(["file"]);
    // What a program has named so is told of, as a socket is, and can be removed.
    put(own, "x");
    const tree = walk(root);
    tree.close();
    expect(tree.nodes.map(({ path, type }) => [path, type])).toEqual([
      [own, "other"],
      ["file", "file"],
    ]);
    mkdirSync(at("folder"));
    for (const how of ["copy", "move"] as const) await expect(workspace[how](own, "folder")).rejects.toThrow(refusal);
    rmSync(at("folder"), { recursive: true });
    await workspace.remove(own);
    expect(readdirSync(root)).toEqual(["file"]);
  });
});
