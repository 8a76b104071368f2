import { describe, expect, it } from "vitest";
import { findViolations, type ReplFacts } from "../../../domain/invariants.ts";
import { newRecord } from "../../fakes/records.ts";

const now = new Date("2026-11-24T12:00:00.000Z");
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString();
const record = newRecord({ sessionId: "s1" });
const session = { id: "s1", replId: record.id, userId: record.owner.id, createdAt: ago(3600), isReady: true };
const known = { id: "s1", state: "running" as const };
const healthy: ReplFacts = { replId: record.id, record, session, known };
const found = (facts: ReplFacts) => findViolations(facts, now, 600).map(({ invariant }) => invariant);

describe("the invariants", () => {
  it("hold for a REPL that runs, and for one that does not", () => {
    expect(found(healthy)).toEqual([]);
    expect(found({ replId: record.id, record })).toEqual([]);
  });

  it.each([
    ["I12", { ...healthy, broken: "its newest save cannot be read" }],
    ["I12", { ...healthy, missing: ["src/a"] }],
    ["I7", { replId: record.id, left: { prefixes: ["ada/repl-1/"], newestAt: ago(601) } }],
    ["I11", { ...healthy, workflow: { type: "shutdownRepl", startedAt: ago(601) } }],
    ["I7", { ...healthy, record: undefined }],
    ["I2", { ...healthy, record: { ...record, sessionId: "s2" } }],
    ["I4", { ...healthy, session: { ...session, ending: "stopping" as const } }],
    ["I8", { replId: record.id, record, known }],
    ["I8", { ...healthy, known: undefined }],
    ["I8", { ...healthy, known: { ...known, id: "s0" } }],
  ])("tell %s when it does not hold", (invariant, facts) => {
    expect(found(facts)).toContain(invariant);
  });

  it("say nothing of what is on its way", () => {
    const workflow = { type: "openRepl", startedAt: ago(5) };
    expect(found({ ...healthy, known: undefined, workflow })).toEqual([]);
    expect(found({ ...healthy, record: undefined, session: { ...session, createdAt: ago(599) } })).toEqual([]);
    const left = { prefixes: ["ada/repl-1/"], newestAt: ago(599) };
    expect(found({ replId: record.id, left })).toEqual([]);
    expect(found({ replId: record.id, left: { ...left, newestAt: ago(9999) }, workflow })).toEqual([]);
  });

  it("name the first of many files", () => {
    const missing = ["a", "b", "c", "d", "e", "f"];
    expect(findViolations({ ...healthy, missing }, now, 600)).toMatchObject([
      { what: "of its newest save 6 files are gone: a, b, c, d, e, …" },
    ]);
  });
});
