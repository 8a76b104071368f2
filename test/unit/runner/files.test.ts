import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { connectEditor, type EditorClient } from "../../../tools/editor-client.ts";
import { root, outside, url, ticket, editor, patchOf } from "./running-runner.ts";

describe("the runner: files", () => {
  it("are listed, folders first, also when there are none", async () => {
    expect(await editor.ask("Connection", {}, "Loaded")).toEqual({ rootContents: [], publicPorts: [] });
    mkdirSync(join(root, "src"));
    writeFileSync(join(root, "a.txt"), "");
    symlinkSync("src", join(root, "alias"));
    expect(await editor.ask("Connection", {}, "Loaded")).toMatchObject({
      rootContents: [
        { name: "alias", isDir: true },
        { name: "src", isDir: true },
        { name: "a.txt", isDir: false },
      ],
    });
    expect(await editor.ask("fetchDir", { dir: "/src" })).toEqual({ contents: [], path: "/src" });
  });

  it("are read as text, or say that they are not", async () => {
    writeFileSync(join(root, "crlf.txt"), "a\r\nü\r\n");
    writeFileSync(join(root, "binary"), Buffer.from([0, 1, 2]));
    writeFileSync(join(root, "empty"), "");
    expect(await editor.ask("fetchContent", { path: "/crlf.txt" })).toEqual({
      content: "a\r\nü\r\n",
      path: "/crlf.txt",
    });
    expect(await editor.ask("fetchContent", { path: "empty" })).toEqual({ content: "", path: "empty" });
    await expect(editor.ask("fetchContent", { path: "binary" })).rejects.toThrow("binary is not a text file");
    await expect(editor.ask("fetchContent", { path: "missing" })).rejects.toThrow("missing does not exist");
    await expect(editor.ask("fetchContent", {})).rejects.toThrow("path: a text is needed");
  });

  it("are edited in order, with their mode kept", async () => {
    writeFileSync(join(root, "run.sh"), "");
    chmodSync(join(root, "run.sh"), 0o750);
    // No emoji: the library cuts the text around an edit inside of one and then cannot write the patch.
    const typed = [..."echo 'grüße € ?'\n".repeat(20)];
    for (let index = 0; index < typed.length; index++)
      editor.send("updateContent", {
        path: "run.sh",
        patch: patchOf(typed.slice(0, index).join(""), typed.slice(0, index + 1).join("")),
      });
    for (let index = 0; index < typed.length; index++)
      await editor.next((frame) => frame.event === "updateContentResponse" && frame.data["success"] === true);
    expect(readFileSync(join(root, "run.sh"), "utf8")).toBe(typed.join(""));
    expect(statSync(join(root, "run.sh")).mode & 0o777).toBe(0o750);
  });

  it("are not half edited when a hunk does not fit", async () => {
    const before = `${"first part ".repeat(30)}\n${"second part ".repeat(30)}`;
    writeFileSync(join(root, "a"), "something else entirely");
    await expect(
      editor.ask("updateContent", {
        path: "a",
        patch: patchOf(before, before.replace("first", "1st").replace("second", "2nd")),
      }),
    ).rejects.toThrow("has changed");
    expect(readFileSync(join(root, "a"), "utf8")).toBe("something else entirely");
    await expect(editor.ask("updateContent", { path: "a", patch: "no patch" })).rejects.toThrow();
  });

  it("are created, renamed and deleted, and never overwritten", async () => {
    await editor.ask("createFile", { path: "deep/er/a.txt" });
    await editor.ask("createFolder", { path: "/folder" });
    writeFileSync(join(root, "deep/er/a.txt"), "content");
    await expect(editor.ask("createFile", { path: "deep/er/a.txt" })).rejects.toThrow("exists already");
    expect(await editor.ask("rename", { oldPath: "deep/er/a.txt", newPath: "folder/b.txt" })).toEqual({
      success: true,
      oldPath: "deep/er/a.txt",
      newPath: "folder/b.txt",
    });
    expect(readFileSync(join(root, "folder/b.txt"), "utf8")).toBe("content");
    await editor.ask("rename", { oldPath: "folder/b.txt", newPath: "new/deep/b.txt" });
    await editor.ask("rename", { oldPath: "new/deep/b.txt", newPath: "folder/b.txt" });
    await editor.ask("createFile", { path: "c.txt" });
    await expect(editor.ask("rename", { oldPath: "c.txt", newPath: "folder/b.txt" })).rejects.toThrow("exists already");
    expect(await editor.ask("delete", { path: "folder" })).toEqual({ success: true, path: "folder" });
    await expect(editor.ask("delete", { path: "folder" })).rejects.toThrow("does not exist");
    for (const path of ["", "/", ".", "a/.."])
      await expect(editor.ask("delete", { path })).rejects.toThrow("cannot be deleted");
  });

  it("are copied, cut and pasted by a clipboard of each editor", async () => {
    mkdirSync(join(root, "src/deep"), { recursive: true });
    mkdirSync(join(root, "to"));
    writeFileSync(join(root, "src/deep/run.sh"), "echo", { mode: 0o755 });
    symlinkSync("deep/run.sh", join(root, "src/link"));
    await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
    expect(await editor.ask("copy", { sourcePath: "/src" })).toEqual({ success: true, sourcePath: "/src" });
    expect(await editor.ask("paste", { targetPath: "to" })).toEqual({
      success: true,
      targetPath: "to",
      path: "to/src",
    });
    expect(await editor.ask("paste", { targetPath: "to" })).toMatchObject({ path: "to/src (2)" });
    expect(statSync(join(root, "to/src (2)/deep/run.sh")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(root, "to/src/link"))).toBe("deep/run.sh");
    expect(await editor.ask("copy", { sourcePath: "src/deep/run.sh", targetPath: "src/deep/run.sh" })).toMatchObject({
      path: "src/deep/run (2).sh",
    });
    await editor.ask("cut", { sourcePath: "src" });
    await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("to/src exists already");
    expect(await editor.ask("paste", { targetPath: "moved" })).toMatchObject({ path: "moved" });
    expect(readdirSync(root).sort()).toEqual(["moved", "to"]);
    await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
    await editor.ask("copy", { sourcePath: "to" });
    await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("into itself");
    symlinkSync(outside, join(root, "out"));
    await expect(editor.ask("copy", { sourcePath: "moved", targetPath: "out" })).rejects.toThrow("outside");
    await expect(editor.ask("copy", { sourcePath: "out/closing" })).resolves.toBeDefined();
    await expect(editor.ask("paste", { targetPath: "x" })).rejects.toThrow("outside");
    const other = await connectEditor(url, ticket);
    await expect(other.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
    await other.close();
  });
  it("are edited by two editors at once without one undoing the other", async () => {
    writeFileSync(join(root, "both.txt"), "first\n\n\n\n\n\n\nlast\n");
    const other = await connectEditor(url, ticket);
    const before = readFileSync(join(root, "both.txt"), "utf8");
    await Promise.all([
      editor.ask("updateContent", { path: "both.txt", patch: patchOf(before, before.replace("first", "FIRST")) }),
      other.ask("updateContent", { path: "both.txt", patch: patchOf(before, before.replace("last", "LAST")) }),
    ]);
    expect(readFileSync(join(root, "both.txt"), "utf8")).toBe("FIRST\n\n\n\n\n\n\nLAST\n");
    await other.close();
  });
  it("that others change are told of, and one's own changes are not", async () => {
    writeFileSync(join(root, "old.txt"), "old");
    const other = await connectEditor(url, ticket);
    await editor.ask("Connection", {}, "Loaded");
    await other.ask("Connection", {}, "Loaded");
    const heard = (client: EditorClient, path: string, kind: string) =>
      client.next(({ event, data }) => event === "fileChanged" && data["path"] === path && data["kind"] === kind);
    writeFileSync(join(root, "new.txt"), "from a terminal");
    await heard(editor, "new.txt", "created");
    await editor.ask("createFile", { path: "/by-me.txt" });
    await heard(other, "by-me.txt", "created");
    rmSync(join(root, "old.txt"));
    await heard(editor, "old.txt", "deleted");
    await heard(other, "old.txt", "deleted");
    // By now what was told of the other changes has long arrived.
    const seen = await editor
      .next(({ event, data }) => event === "fileChanged" && data["path"] === "by-me.txt", 300)
      .catch(() => undefined);
    expect(seen).toBeUndefined();
    await other.close();
  });
  it("that change by the thousand are told of as one", async () => {
    await editor.ask("Connection", {}, "Loaded");
    mkdirSync(join(root, "many"));
    for (let number = 0; number < 1000; number++) writeFileSync(join(root, "many", `${number}`), "");
    const { data } = await editor.next(({ event, data: { path } }) => event === "fileChanged" && path === "");
    expect(data).toEqual({ path: "", kind: "changed" });
  });
  it("never leave the workspace, not through a link either", async () => {
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(root, "out"));
    symlinkSync(join(outside, "secret"), join(root, "file"));
    for (const path of ["../secret", "/../../etc/passwd", "out/secret", "file", "out", "a\0b"])
      await expect(editor.ask("fetchContent", { path }), path).rejects.toThrow();
    await expect(editor.ask("fetchDir", { Dir: "out" })).rejects.toThrow("outside");
    await expect(editor.ask("createFile", { path: "out/new" })).rejects.toThrow("outside");
    await expect(editor.ask("createFile", { path: "out/deep/new" })).rejects.toThrow();
    await expect(editor.ask("delete", { path: "out/secret" })).rejects.toThrow("outside");
    await expect(editor.ask("rename", { oldPath: "out/secret", newPath: "mine" })).rejects.toThrow("outside");
    await expect(editor.ask("updateContent", { path: "file", patch: patchOf("secret", "changed") })).rejects.toThrow(
      "outside",
    );
    await editor.ask("delete", { path: "out" });
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    expect(existsSync(join(outside, "deep"))).toBe(false);
  });
});
