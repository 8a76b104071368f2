import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunningSession, SessionReport } from "../../../domain/ports.ts";
import { reviewSession } from "../../../domain/session-review.ts";
import type { ReplRecord } from "../../../domain/repl.ts";
import { newRecord } from "../../fakes/records.ts";

const now = new Date("2026-11-24T12:00:00.000Z");
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString();
const lifetimes = { idleSeconds: 1800, maximumSeconds: 43_200 };

function review(
  changes: {
    session?: Partial<RunningSession>;
    record?: Partial<ReplRecord> | undefined;
    report?: Partial<SessionReport>;
  } = {},
) {
  const restored = { sessionId: "s1", pod: "p" };
  const whole = newRecord({ sessionId: "s1", restored, lastOpenedAt: ago(7100), lastOpenedSession: "s1" });
  const record = "record" in changes && !changes.record ? undefined : { ...whole, ...changes.record };
  const session = {
    id: "s1",
    replId: whole.id,
    userId: whole.owner.id,
    createdAt: ago(7200),
    isReady: true,
    ...changes.session,
  };
  const report = changes.report && { connections: 0, lastActivityAt: ago(60), reportedAt: ago(5), ...changes.report };
  return reviewSession({ session, record, report }, lifetimes, now);
}

describe("the review of a session", () => {
  it.each([
    ["one second before its time", 1799, "warn"],
    ["when its time is over", 1800, "close"],
    ["long before", 1000, "nothing"],
    ["two minutes before", 1680, "warn"],
  ])("looks at who is idle %s", (_when, seconds, verdict) => {
    expect(review({ report: { lastActivityAt: ago(seconds) } }).do).toBe(verdict);
  });

  it("tells when an idle session will be closed", () => {
    expect(review({ report: { lastActivityAt: ago(1790) } })).toEqual({
      do: "warn",
      reason: "nobody used it for 30 minutes",
      at: ago(-10),
    });
  });

  it("takes nobody for idle who is connected, or whose runner has not been heard", () => {
    expect(review({ report: { lastActivityAt: ago(9000), connections: 1 } }).do).toBe("nothing");
    expect(review({ report: { lastActivityAt: ago(9000), reportedAt: ago(61) } }).do).toBe("nothing");
    expect(review({ session: { createdAt: ago(9000) } }).do).toBe("nothing");
  });

  it.each([
    [43_199, "warn"],
    [43_200, "close"],
  ])("ends every session when it is %d seconds old, busy or not", (age, verdict) => {
    expect(review({ session: { createdAt: ago(age) }, report: { connections: 3, lastActivityAt: ago(0) } }).do).toBe(
      verdict,
    );
  });

  it("goes on with what was interrupted", () => {
    expect(review({ session: { ending: "stopping" } })).toMatchObject({ do: "close" });
    expect(review({ session: { ending: "deleting" } })).toMatchObject({ do: "delete" });
  });

  it("ends a start that never came to its end, but no pod that is being replaced", () => {
    const session = { isReady: false, createdAt: ago(601) };
    expect(review({ session, record: { restored: undefined as never } }).do).toBe("close");
    expect(review({ session: { ...session, createdAt: ago(599) }, record: { restored: undefined as never } }).do).toBe(
      "nothing",
    );
    // Files that an earlier session had restored say nothing of this one's start.
    expect(review({ session, record: { restored: { sessionId: "s0", pod: "p0" } } }).do).toBe("close");
    // Filled by an open that failed before anybody was let in.
    expect(review({ session, record: { lastOpenedSession: "s0" } }).do).toBe("close");
    // Opened by a release that noted no session.
    expect(review({ session, record: { lastOpenedSession: undefined as never } }).do).toBe("nothing");
    expect(review({ session }).do).toBe("nothing");
  });

  it("gives up a session that loses its pod again and again", () => {
    const loss = { sessionId: "s1", at: ago(9), generation: 2 };
    expect(review({ record: { lastLoss: { ...loss, count: 2 } } }).do).toBe("nothing");
    expect(review({ record: { lastLoss: { ...loss, count: 3 } } })).toMatchObject({ do: "close" });
    expect(review({ record: { lastLoss: { ...loss, sessionId: "s0", count: 3 } } }).do).toBe("nothing");
  });

  describe("that may be an orphan", () => {
    const orphan = (secondsAgo: number, looks: number) => ({ orphan: { since: ago(secondsAgo), looks } });
    const lost = { record: undefined };

    it("notes it, again and again, before it is believed", () => {
      expect(review(lost)).toMatchObject({ do: "note", orphan: { since: ago(0), looks: 1 } });
      expect(review({ record: { sessionId: "s2" } })).toMatchObject({ do: "note" });
      expect(review({ record: { endedSession: "s1" } })).toMatchObject({ do: "note" });
      expect(review({ ...lost, session: orphan(300, 3) })).toMatchObject({
        do: "note",
        orphan: { since: ago(300), looks: 4 },
      });
      expect(review({ ...lost, session: { createdAt: ago(599) } }).do).toBe("nothing");
    });

    it("believes it after ten minutes and five looks, and not after one of the two", () => {
      expect(review({ ...lost, session: orphan(601, 5) }).do).toBe("rescue");
      expect(review({ ...lost, session: orphan(601, 4) }).do).toBe("note");
      expect(review({ ...lost, session: orphan(599, 50) }).do).toBe("note");
    });

    it("takes the writer for none, whatever was noted before", () => {
      expect(review({ session: orphan(9000, 90) }).do).toBe("nothing");
    });
  });

  it("takes no session that may write for an orphan, whatever else is so", () => {
    const seconds = fc.integer({ min: 0, max: 100_000 });
    const facts = fc.record({
      age: seconds,
      idle: seconds,
      silent: seconds,
      connections: fc.nat(3),
      isReady: fc.boolean(),
      ending: fc.constantFrom<RunningSession["ending"]>(undefined, "stopping", "deleting"),
    });
    fc.assert(
      fc.property(facts, ({ age, idle, silent, connections, isReady, ending }) => {
        const verdict = review({
          session: { createdAt: ago(age), isReady, ...(ending ? { ending } : {}) },
          report: { connections, lastActivityAt: ago(idle), reportedAt: ago(silent) },
        });
        expect(["note", "rescue"]).not.toContain(verdict.do);
      }),
    );
  });
});
