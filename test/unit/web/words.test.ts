import { describe, expect, it } from "vitest";
import { adviceFor } from "../../../web/advice.ts";
import { agoInWords, countInWords, durationInWords, sizeInWords, stateInWords } from "../../../web/words.ts";

describe("sizes, times and states", () => {
  it.each([
    [0, "0 bytes"],
    [1, "1 byte"],
    [999, "999 bytes"],
    [1000, "1.0 KB"],
    [12_345, "12 KB"],
    [5_400_000, "5.4 MB"],
    [3e12, "3.0 TB"],
    [5e15, "5000 TB"],
  ])("has %i bytes as %s", (bytes, words) => expect(sizeInWords(bytes)).toBe(words));

  it.each([
    [0, "just now"],
    [12, "12 s ago"],
    [90, "2 min ago"],
    [7200, "2 h ago"],
    [86_400, "1 day ago"],
    [3 * 86_400, "3 days ago"],
    [-5, "just now"],
  ])("has %i seconds before as %s", (seconds, words) => {
    const now = Date.parse("2026-05-01T12:00:00.000Z");
    expect(agoInWords(new Date(now - seconds * 1000).toISOString(), now)).toBe(words);
  });

  it("counts, measures and names", () => {
    expect([countInWords(1, "file"), countInWords(0, "file")]).toEqual(["1 file", "0 files"]);
    expect([durationInWords(87.4), durationInWords(2345)]).toEqual(["87 ms", "2.3 s"]);
    expect([stateInWords("stopped"), stateInWords("unheard of")]).toEqual(["Closed", "unheard of"]);
  });
});

/** As the API tells them: adapters/pod-state.ts, activities/wait-until-ready.ts, adapters that do not answer. */
describe("what to do", () => {
  it.each([
    ["runner waits: ErrImagePull", "take another template"],
    ["container runner cannot start: ImagePullBackOff (Back-off pulling image)", "take another template"],
    ["not scheduled: 0/1 nodes are available: 1 Insufficient cpu.", "no room"],
    ['no pod: pods "repl-x" is forbidden: exceeded quota: pods', "no room"],
    ["the workspace cannot be restored: a.txt: version v of k is missing", "earlier save"],
    ["container runner cannot start: CreateContainerError", "Try again"],
    ["The REPL did not answer within 480 s: runner starts.", "Try again"],
    ["The object store does not answer: ECONNREFUSED", "tried again by itself"],
    ["Saving failed and is tried again: the REPL's programs have not ended yet", "open it again"],
  ])("is said of: %s", (reason, advice) => expect(adviceFor(reason)).toContain(advice));

  it("is not said where the reason says it", () =>
    expect(adviceFor("You have 2 REPLs open; close one first")).toBeUndefined());
});
