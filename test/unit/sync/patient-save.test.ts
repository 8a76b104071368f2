import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import { lastFailedTry } from "../../../domain/save.ts";
import { saveInTries } from "../../../sync/patient-save.ts";

const limits = { patienceMs: 60_000, firstPauseMs: 1, longestPauseMs: 4 };
const away = (attempt: number) => new ReplError("unavailable", `the store is away (${attempt})`);

describe("the tries of a save container", () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  });
  afterEach(() => void vi.restoreAllMocks());

  it("go on until one succeeds, and tell of each that fails", async () => {
    const save = async (attempt: number) => {
      if (attempt < 6) throw away(attempt);
      return attempt;
    };
    expect(await saveInTries(save, limits)).toBe(6);
    expect(lines.map((line) => lastFailedTry(line))).toEqual(
      [1, 2, 3, 4, 5].map((number) => ({ event: "save failed", try: number, reason: `the store is away (${number})` })),
    );
    expect(lastFailedTry([...lines, "", "{", '{"event":"other"}'].join("\n"))?.try).toBe(5);
  });

  it("go on while the store takes no request of the manifest's size", async () => {
    const save = async (attempt: number) => {
      if (attempt < 2) throw new ReplError("invalid", "status 413");
      return attempt;
    };
    expect(await saveInTries(save, limits)).toBe(2);
  });

  it("end with the reason when they have been too many", async () => {
    const save = async (attempt: number) => Promise.reject(away(attempt));
    await expect(saveInTries(save, { ...limits, patienceMs: 20 })).rejects.toThrow("the store is away");
    expect(lines.length).toBeGreaterThan(0);
  });

  it.each([new ReplError("conflict", "another writer"), new ReplError("not_found", "no record"), new Error("a bug")])(
    "end at once with what another one cannot mend: %s",
    async (error) => {
      const save = vi.fn(async (): Promise<never> => {
        throw error;
      });
      await expect(saveInTries(save, limits)).rejects.toBe(error);
      expect(save).toHaveBeenCalledTimes(1);
    },
  );
});
