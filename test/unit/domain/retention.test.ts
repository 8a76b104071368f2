import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isCleaningDue, savesToKeep } from "../../../domain/retention.ts";

const now = new Date("2026-06-30T12:00:00.000Z");
const hours = (count: number) => new Date(now.getTime() - count * 3_600_000).toISOString();

describe("retention", () => {
  it("keeps all of the last day, one of each day for a month, and the two newest", () => {
    const saves = [0, 1, 23, 30, 31, 54, 24 * 29, 24 * 40, 24 * 90].map((age, index) => ({
      generation: 100 - index,
      createdAt: hours(age),
    }));
    expect([...savesToKeep(saves, now)].sort((a, b) => b - a)).toEqual([100, 99, 98, 95, 94]);
  });

  it("keeps the two newest, however old", () => {
    const saves = [1, 2, 3].map((generation) => ({ generation, createdAt: hours(24 * (400 - generation)) }));
    expect(savesToKeep(saves, now)).toEqual(new Set([3, 2]));
    expect(savesToKeep([], now)).toEqual(new Set());
  });

  it("lets no save go for one that may never have become a save", () => {
    const saves = [1, 2, 3, 4, 5].map((generation) => ({ generation, createdAt: hours(24 * 3) }));
    const [, , , fourth, fifth] = saves;
    const newer = [6, 7].map((generation) => ({ generation, createdAt: hours(1) }));
    expect(savesToKeep([...saves, ...newer], now)).toEqual(new Set([7, 6, 5]));
    const doubtful = [fourth, fifth].flatMap((save) => (save ? [{ ...save, isDoubtful: true }] : []));
    expect(savesToKeep([...saves.slice(0, 3), ...doubtful, ...newer], now)).toEqual(new Set([7, 6, 5, 4, 3]));
    const old = { generation: 3, createdAt: hours(24 * 31), isDoubtful: true };
    expect(savesToKeep([old, ...newer], now)).toEqual(new Set([7, 6]));
  });

  it("never drops one that it would keep, whatever else there is", () => {
    const ages = fc.uniqueArray(fc.integer({ min: 0, max: 24 * 60 }), { maxLength: 60 });
    fc.assert(
      fc.property(ages, (all) => {
        const saves = all
          .toSorted((a, b) => b - a)
          .map((age, index) => ({ generation: index + 1, createdAt: hours(age), age }));
        const kept = savesToKeep(saves, now);
        for (const { generation, age } of saves) if (age < 24) expect(kept.has(generation)).toBe(true);
        for (const { generation } of saves.slice(-2)) expect(kept.has(generation)).toBe(true);
        for (const { generation, age } of saves.slice(0, -2))
          if (age > 24 * 31) expect(kept.has(generation)).toBe(false);
        // Keeping is settled: what is kept stays kept when the rest is gone.
        expect(
          savesToKeep(
            saves.filter(({ generation }) => kept.has(generation)),
            now,
          ),
        ).toEqual(kept);
      }),
    );
  });
});

describe("cleaning", () => {
  const hoursOfDay = Array.from({ length: 24 }, (_, hour) => new Date(Date.UTC(2026, 5, 30, hour, 30)));
  const repl = { id: "repl-x", lastSavedAt: hours(20), savesRemoved: 0, entries: 100 };

  it("comes once a day for every REPL that was saved lately, in hours that are spread", () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(fc.string({ minLength: 5, maxLength: 40 }), fc.nat(1e9), (id, entries) => {
        const due = hoursOfDay.filter((hour) => isCleaningDue({ ...repl, id, entries }, hour));
        expect(due).toHaveLength(1);
        seen.add(due[0]?.getUTCHours() ?? -1);
      }),
      { numRuns: 500 },
    );
    expect(seen.size).toBeGreaterThan(20);
  });

  it("comes with each removal of saves, unless all manifests together take long to read", () => {
    const due = (entries: number) =>
      hoursOfDay.filter((hour) => isCleaningDue({ ...repl, savesRemoved: 1, entries }, hour));
    expect(due(500 * 20_000)).toHaveLength(24);
    expect(due(500 * 30_000)).toHaveLength(1);
  });

  it("comes no more when the last save is long ago and nothing is removed", () => {
    for (const hour of hoursOfDay) expect(isCleaningDue({ ...repl, lastSavedAt: hours(24 * 4) }, hour)).toBe(false);
  });
});
