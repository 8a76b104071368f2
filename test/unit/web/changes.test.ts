import { crc32 as nodeCrc32 } from "node:zlib";
import { ChangeSet, Text } from "@codemirror/state";
import diffMatchPatch from "diff-match-patch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  changesBetween,
  contentOf,
  crc32,
  firstPart,
  linesOf,
  maximumPatchLength,
  overlaps,
  patchOf,
} from "../../../web/room/changes.ts";

/** As the runner applies a patch: all hunks or none. */
function apply(content: string, patch: string): string {
  const matcher = new diffMatchPatch.diff_match_patch();
  const [result, applied] = matcher.patch_apply(matcher.patch_fromText(patch), content);
  expect(applied.every(Boolean)).toBe(true);
  return result;
}

const words = fc.constantFrom("a", "bc", "\n", "\n\n", "  ", "é", "😀", "%", "+x", "@@ -1 +1 @@\n", "\t");
const texts = fc.array(words, { maxLength: 60 }).map((parts) => parts.join(""));

describe("a text's lines", () => {
  it.each(["", "\n", "a", "a\nb\n", "a\r\nb\r\n", "a\r\nb\nc", "a\rb\r", "\r\n", "mixed\r\n\r"])(
    "are written again as they were: %j",
    (content) => expect(contentOf(linesOf(content))).toBe(content),
  );

  it("are written again as they were, whatever ends them", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("x", "\r\n", "\n", "\r")), (parts) => {
        const content = parts.join("");
        expect(contentOf(linesOf(content))).toBe(content);
      }),
    );
  });
});

describe("changes", () => {
  it("between two texts make one of the other", () => {
    fc.assert(
      fc.property(texts, texts, (one, other) => {
        const [before, after] = [Text.of(one.split("\n")), Text.of(other.split("\n"))];
        expect(changesBetween(before, after).apply(before).toString()).toBe(other);
      }),
      { numRuns: 1000 },
    );
  });

  it("touch only the lines that differ", () => {
    const before = Text.of(["one", "two", "three", "four"]);
    const changes = changesBetween(before, Text.of(["one", "2", "three", "four", "five"]));
    const ranges: number[][] = [];
    changes.iterChangedRanges((from, to) => ranges.push([from, to]));
    expect(ranges).toEqual([
      [4, 8],
      [18, 18],
    ]);
  });

  it("of two people overlap when they touch one place", () => {
    const change = (from: number, to: number) => ChangeSet.of({ from, to, insert: "x" }, 20);
    expect(overlaps(change(2, 4), change(10, 12))).toBe(false);
    expect(overlaps(change(2, 11), change(10, 12))).toBe(true);
    expect(overlaps(change(4, 4), change(4, 4))).toBe(true);
  });

  it("become patches that the runner takes, also in files with Windows line ends", () => {
    fc.assert(
      fc.property(texts, texts, fc.boolean(), (one, other, isWindows) => {
        const windows = (text: string) => (isWindows ? text.replaceAll("\n", "\r\n") : text);
        const lines = linesOf(windows(one));
        const after = Text.of(other.split("\n"));
        const patch = patchOf(lines, changesBetween(lines.text, after));
        expect(apply(windows(one), patch)).toBe(contentOf({ text: after, ending: lines.ending }));
      }),
      { numRuns: 500 },
    );
  });

  it("too big for one message go in parts", () => {
    const big = "word 😀\n".repeat(maximumPatchLength / 4);
    const lines = linesOf(`head\n${big}tail\n`);
    const length = lines.text.length;
    const changes = ChangeSet.of(
      [
        { from: 0, to: 4, insert: big },
        { from: 5, to: 5 + big.length, insert: "little" },
        { from: length, insert: "end" },
      ],
      length,
    );
    let content = contentOf(lines);
    let left: ChangeSet | undefined = changes;
    let text = lines.text;
    for (let parts = 0; left; parts++) {
      expect(parts).toBeLessThan(20);
      const [part, rest] = firstPart(left);
      const patch = patchOf({ ...lines, text }, part);
      expect(encodeURI(patch).length).toBeLessThan(8 * 1024 * 1024);
      content = apply(content, patch);
      text = part.apply(text);
      left = rest;
    }
    expect(content).toBe(changes.apply(lines.text).toString());
  });
});

it("a checksum is that of the runner", () => {
  for (const content of ["", "a", "é😀\n", "x".repeat(10_000)]) expect(crc32(content)).toBe(nodeCrc32(content));
});
