import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accessUrl, objectKey, workflowIdOf } from "../../../domain/naming.ts";
import { parseReplId, parseReplName } from "../../../domain/repl.ts";
import { sameTree, type SaveEntry } from "../../../domain/save.ts";

describe("parseReplName", () => {
  it.each(["a", "My first REPL", "مشروعي", "日本語 ✓", "x".repeat(60), "👩‍🚀".repeat(20)])("takes %j", (name) =>
    expect(parseReplName(`  ${name} `)).toBe(name),
  );
  it.each(["", "   ", "x".repeat(61), "new\nline", "tab\t", "nul\0", "\u202eright-to-left", "\u2028"])(
    "refuses %j as invalid, naming the field",
    (name) =>
      expect(() => parseReplName(`a${name}b`.length > 3 && name.trim() ? `a${name}b` : name)).toThrow(/^name: /),
  );
});

describe("parseReplId", () => {
  it("takes ids of ours", () => expect(parseReplId("repl-abc234")).toBe("repl-abc234"));
  it("refuses whatever else as not found", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60, unit: "binary" }), (text) => {
        if (/^repl-[a-z0-9]([a-z0-9-]{0,33}[a-z0-9])?$/.test(text)) return;
        expect(() => parseReplId(text)).toThrow("There is no such REPL.");
      }),
    );
    for (const id of ["repl-", "repl--", "repl-a-", "Repl-a", "repl-a/../b", `repl-${"a".repeat(36)}`, "repl-a\n"])
      expect(() => parseReplId(id)).toThrow();
  });
});

describe("names in other systems", () => {
  const owner = { id: "7", login: "alice" };
  it("are those of the contract", () => {
    expect(workflowIdOf("repl-x")).toBe("repl/repl-x");
    expect(objectKey.workspace(owner, "repl-x")).toBe("alice/repl-x/");
    expect(objectKey.record("7", "repl-x")).toBe(".devex/repls/7/repl-x.json");
    expect(objectKey.save("repl-x", 3)).toBe(".devex/saves/repl-x/3.json");
    expect(objectKey.template("node", "d1")).toBe(".devex/templates/node/d1/");
    expect(accessUrl("https://run.example/", "repl-x")).toBe("https://run.example/repl-x/");
  });
});

describe("sameTree", () => {
  const file: SaveEntry = {
    type: "file",
    path: "a",
    mode: 0o644,
    mtimeNs: "1",
    sizeBytes: 1,
    sha256: "x",
    key: "k",
    version: "v",
  };
  it("looks at what people see, not at where the bytes are", () =>
    expect(sameTree([file], [{ ...file, version: "other", key: "other" }])).toBe(true));
  it.each([{ mode: 0o755 }, { mtimeNs: "2" }, { sha256: "y" }, { sizeBytes: 2 }, { path: "b" }])(
    "sees a change of %j",
    (change) => expect(sameTree([file], [{ ...file, ...change }])).toBe(false),
  );
  it("sees what is new and what is gone", () => {
    expect(sameTree([file], [])).toBe(false);
    expect(sameTree([], [file])).toBe(false);
    expect(sameTree([file], [{ type: "link", path: "a", mode: 0o644, mtimeNs: "1", target: "x" }])).toBe(false);
  });
});
