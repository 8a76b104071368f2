import { describe, expect, it } from "vitest";
import type { ReplEvent } from "../../../domain/events.ts";
import { noProgress, withEvent } from "../../../web/events.ts";
import { agoInWords, countInWords, durationInWords, sizeInWords } from "../../../web/words.ts";

const at = "2026-01-01T00:00:00.000Z";
const status = (value: string, more: object = {}) => ({ type: "status", at, status: value, ...more }) as ReplEvent;
const step = (name: string, state: string, more: object = {}) =>
  ({ type: "step", at, step: name, title: `Do ${name}`, state, attempt: 1, ...more }) as ReplEvent;
const after = (...events: readonly ReplEvent[]) => events.reduce(withEvent, noProgress);

describe("progress", () => {
  it("is the steps of what happens now, each once, with its newest attempt", () => {
    const { steps } = after(
      status("creating"),
      step("copyTemplate", "started"),
      step("copyTemplate", "failed", { reason: "no disk", attempt: 1 }),
      step("copyTemplate", "started", { attempt: 2 }),
      step("copyTemplate", "done", { attempt: 2, durationMs: 40 }),
      step("waitUntilReady", "started"),
    );
    expect(steps).toMatchObject([
      { name: "copyTemplate", state: "done", attempt: 2, durationMs: 40, startedAt: Date.parse(at) },
      { name: "waitUntilReady", title: "Do waitUntilReady", state: "started" },
    ]);
    expect(steps[0]).not.toHaveProperty("reason");
  });

  it("begins anew with each create, open and close, and not with a status that is said again", () => {
    const open = [status("starting"), step("applyManifests", "done"), status("starting"), status("running")];
    expect(after(...open).steps).toHaveLength(1);
    expect(after(...open, status("stopping")).steps).toEqual([]);
  });

  it("forgets why something failed when it goes on", () => {
    const failed = after(status("failed", { statusReason: "no image" }));
    expect(failed.statusReason).toBe("no image");
    expect(withEvent(failed, status("starting"))).not.toHaveProperty("statusReason");
  });

  it("keeps a failure until the next save or status, and a warning until the next close or open", () => {
    const told = [
      status("running"),
      { type: "warning", at, message: "It runs again." },
      { type: "error", at, message: "A checkpoint failed." },
    ] as ReplEvent[];
    expect(after(...told)).toMatchObject({ warning: "It runs again.", error: "A checkpoint failed." });
    const saved = { type: "save", at, generation: 2, savedAt: at } as ReplEvent;
    expect(after(...told, saved)).not.toHaveProperty("error");
    expect(after(...told, saved, status("running"))).toHaveProperty("warning");
    expect(after(...told, status("stopping"))).not.toHaveProperty("warning");
  });
});

describe("words", () => {
  it("say sizes and times as people do", () => {
    expect([0, 1, 999, 1000, 1234, 12_345, 5_000_000_000].map(sizeInWords)).toEqual([
      "0 bytes",
      "1 byte",
      "999 bytes",
      "1.0 KB",
      "1.2 KB",
      "12 KB",
      "5.0 GB",
    ]);
    const now = Date.parse("2026-01-10T12:00:00Z");
    const ago = (seconds: number) => agoInWords(new Date(now - seconds * 1000).toISOString(), now);
    expect([1, 12, 90, 7200, 86_400, 200_000].map(ago)).toEqual([
      "just now",
      "12 s ago",
      "2 min ago",
      "2 h ago",
      "1 day ago",
      "2 days ago",
    ]);
    // A clock that is ahead is no reason to speak of the future.
    expect(ago(-50)).toBe("just now");
    expect([40, 1500].map(durationInWords)).toEqual(["40 ms", "1.5 s"]);
    expect([countInWords(1, "file"), countInWords(0, "file")]).toEqual(["1 file", "0 files"]);
  });
});
