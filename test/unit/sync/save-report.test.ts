import { describe, expect, it } from "vitest";
import type { SaveReport } from "../../../domain/save.ts";
import { notSavedOf, reportOf, unsavedAfter } from "../../../sync/save-report.ts";
import type { Tree } from "../../../sync/walk.ts";

const summary = { generation: 7, version: "v".repeat(64), files: 1, bytes: 1, savedAt: new Date(0).toISOString() };
const tree: Tree = { nodes: [], stamp: "", close: () => {} };
const lineBytes = 4096;

describe("what a save reports", () => {
  it.each(["\u0001", "語", "\u{1f600}", '"', "a"])(
    "is a line that can be read, whatever paths are made of: %j",
    (sign) => {
      const paths = Array.from({ length: 500 }, (_, index) => `${index}/${sign.repeat(2000)}`);
      const notSaved = notSavedOf(paths.map((path) => ({ path, why: sign.repeat(500), isKept: true })));
      const words = JSON.stringify(reportOf(summary, tree, { uploads: [], deleted: 0 }, { inMotion: paths, notSaved }));
      expect(Buffer.byteLength(words)).toBeLessThan(lineBytes - 500);
      const report = JSON.parse(words) as SaveReport;
      expect(report).toMatchObject({ generation: 7, notSaved: { count: 500 } });
      expect(report.notSaved?.first[0]?.path).toMatch(/^0\/./);
    },
  );

  it("says in words what is at risk after it, and nothing where nothing is", () => {
    expect(unsavedAfter({}, "t")).toBeUndefined();
    const path = { path: "a/b", why: "the disk cannot read it (EIO)", isKept: true };
    expect(unsavedAfter({ notSaved: { count: 1, first: [path] } }, "t")).toEqual({
      files: 1,
      bytes: 0,
      since: "t",
      reason: "1 path cannot be saved. a/b: the disk cannot read it (EIO), and stays as it was saved before",
    });
    const more = { count: 7, first: [path, path, path, path] };
    const { reason, ...rest } = unsavedAfter({ notSaved: more, underWay: { files: 2, bytes: 9 } }, "t") ?? {};
    expect([rest, reason?.endsWith("; and 4 more")]).toEqual([{ files: 9, bytes: 9, since: "t" }, true]);
  });
});
