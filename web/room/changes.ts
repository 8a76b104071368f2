import { type ChangeDesc, ChangeSet, Text } from "@codemirror/state";
import diffMatchPatch from "diff-match-patch";

/** Between texts as the editor holds them (lines, whatever ends them) and the patches that the runner takes. Pure. */

const matcher = new diffMatchPatch.diff_match_patch();
/** Context on both sides of a hunk, by which it finds its place. */
const contextLength = 16;
/** In one message: its text may become nine times as long on its way, where all is ASCII three times; 8 MiB are taken. */
export const maximumPatchLength = 256 * 1024;
const maximumAsciiLength = 1024 * 1024;

/** A file's lines, and what ends them when it is written again: as it was, to the byte. */
export interface Lines {
  readonly text: Text;
  readonly ending: "\n" | "\r\n";
}

/** Lines that end in several ways keep their carriage returns as characters. */
export function linesOf(content: string): Lines {
  const ending = content.includes("\r\n") && !/\r(?!\n)|(?<!\r)\n/.test(content) ? "\r\n" : "\n";
  return { text: Text.of(content.split(ending)), ending };
}

export function contentOf({ text, ending }: Lines): string {
  return text.sliceString(0, text.length, ending);
}

/** What makes `after` of `before`, by whole lines. */
export function changesBetween(before: Text, after: Text): ChangeSet {
  const [lines, newLines] = [[...before.iterLines()], [...after.iterLines()]];
  const start = (index: number) => before.line(index + 1).from;
  const specs: { from: number; to: number; insert: Text }[] = [];
  let [line, newLine] = [0, 0];
  for (const [kept, removed, added] of hunksBetween(lines, newLines)) {
    line += kept;
    newLine += kept;
    const end = line + removed;
    const insert = newLines.slice(newLine, newLine + added);
    // A line goes with the line end behind it; the last one, which has none, with the one before it.
    if (end < lines.length) specs.push({ from: start(line), to: start(end), insert: Text.of([...insert, ""]) });
    else if (line === 0) specs.push({ from: 0, to: before.length, insert: Text.of(insert) });
    else specs.push({ from: before.line(line).to, to: before.length, insert: Text.of(["", ...insert]) });
    line = end;
    newLine += added;
  }
  return ChangeSet.of(specs, before.length);
}

/** How many lines stay, then how many go and how many come in their place; again and again. */
function hunksBetween(lines: readonly string[], newLines: readonly string[]): [number, number, number][] {
  const numbers = new Map<string, number>();
  const encode = (all: readonly string[]) =>
    all.map((line) => {
      const number = numbers.get(line) ?? numbers.size;
      numbers.set(line, number);
      return String.fromCharCode(number);
    });
  const [before, after] = [encode(lines).join(""), encode(newLines).join("")];
  // There are no more characters than that to stand for lines.
  if (numbers.size > 0xffff) return [[0, lines.length, newLines.length]];
  const hunks: [number, number, number][] = [];
  let hunk: [number, number, number] = [0, 0, 0];
  for (const [kind, part] of matcher.diff_main(before, after, false)) {
    if (kind === 0 && (hunk[1] > 0 || hunk[2] > 0)) {
      hunks.push(hunk);
      hunk = [0, 0, 0];
    }
    hunk[kind === 0 ? 0 : kind === -1 ? 1 : 2] += part.length;
  }
  if (hunk[1] > 0 || hunk[2] > 0) hunks.push(hunk);
  return hunks;
}

/** True when both change the same place, or places that touch. */
export function overlaps(one: ChangeDesc, other: ChangeDesc): boolean {
  let isHit = false;
  one.iterChangedRanges((from, to) => {
    if (other.touchesRange(from, to) !== false) isHit = true;
  });
  return isHit;
}

/** The patch that does `changes` to `before`, in diff-match-patch's text form: each hunk fits what those before it have made. */
export function patchOf({ text, ending }: Lines, changes: ChangeSet): string {
  const after = changes.apply(text);
  const hunks: string[] = [];
  changes.iterChanges((from, to, newFrom, _newTo, inserted) => {
    const start = wholeCharacter(after, Math.max(0, newFrom - contextLength), -1);
    const end = wholeCharacter(text, Math.min(text.length, to + contextLength), 1);
    const lead = after.sliceString(start, newFrom, ending);
    const removed = text.sliceString(from, to, ending);
    const added = inserted.sliceString(0, inserted.length, ending);
    const trail = text.sliceString(to, end, ending);
    const hunk = new diffMatchPatch.patch_obj();
    // Positions in the file count both characters of a line end.
    hunk.start1 = hunk.start2 = start + (after.lineAt(start).number - 1) * (ending.length - 1);
    hunk.length1 = lead.length + removed.length + trail.length;
    hunk.length2 = lead.length + added.length + trail.length;
    const diffs: typeof hunk.diffs = [
      [0, lead],
      [-1, removed],
      [1, added],
      [0, trail],
    ];
    hunk.diffs = diffs.filter(([, part]) => part !== "");
    // oxlint-disable-next-line typescript/no-base-to-string -- its types leave out that it has one of its own
    hunks.push(hunk.toString());
  });
  return hunks.join("");
}

/** The first of `changes` that fit into one message, and what is left to do after them. */
export function firstPart(changes: ChangeSet): readonly [ChangeSet, ChangeSet | undefined] {
  const specs: { from: number; to: number; insert: Text }[] = [];
  changes.iterChanges((from, to, _fromB, _toB, insert) => specs.push({ from, to, insert }));
  const lengthOf = ({ from, to, insert }: { from: number; to: number; insert: Text }) => to - from + insert.length;
  if (specs.reduce((sum, spec) => sum + lengthOf(spec), 0) <= maximumPatchLength) return [changes, undefined];
  const [first, ...others] = specs as [(typeof specs)[number], ...typeof specs];
  let done = first;
  const left: typeof specs = [];
  const isAscii = first.to === first.from && /^[\0-\x7f]*$/.test(first.insert.sliceString(0, maximumAsciiLength));
  const most = isAscii ? maximumAsciiLength : maximumPatchLength;
  if (first.to - first.from > most) {
    const to = first.from + most;
    done = { from: first.from, to, insert: Text.empty };
    left.push({ ...first, from: to });
  } else if (lengthOf(first) > most) {
    const cut = wholeCharacter(first.insert, most - (first.to - first.from), 1);
    done = { ...first, insert: first.insert.slice(0, cut) };
    left.push({ from: first.to, to: first.to, insert: first.insert.slice(cut) });
  }
  left.push(...others);
  const part = ChangeSet.of(done, changes.length);
  const shift = done.insert.length - (done.to - done.from);
  const rest = left.map(({ from, to, insert }) => ({ from: from + shift, to: to + shift, insert }));
  return [part, ChangeSet.of(rest, part.newLength)];
}

/** The nearest place in a direction that is not within a surrogate pair, of which a half cannot be sent. */
function wholeCharacter(text: Text, at: number, direction: 1 | -1): number {
  const isWithin =
    at > 0 && at < text.length && /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.sliceString(at - 1, at + 1));
  return isWithin ? at + direction : at;
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 of a text in UTF-8. */
export function crc32(content: string): number {
  let value = 0xffffffff;
  for (const byte of new TextEncoder().encode(content))
    value = (table[(value ^ byte) & 0xff] as number) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
