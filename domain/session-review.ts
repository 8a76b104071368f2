import type { OrphanNote, RunningSession, SessionReport } from "./ports.ts";
import type { ReplRecord, Session } from "./repl.ts";

/** How long sessions may be, in seconds. */
export interface Lifetimes {
  /** Without a connection, preview traffic or terminal output. */
  readonly idleSeconds: number;
  readonly maximumSeconds: number;
}

/** What is to be done about a session that was found in the cluster. */
export type Verdict =
  | { readonly do: "nothing" }
  /** It will be closed at `at`, unless somebody comes. */
  | { readonly do: "warn"; readonly reason: string; readonly at: string }
  /** Through the same workflow as its owner would. */
  | { readonly do: "close" | "delete"; readonly reason: string }
  /** It may be an orphan: that is noted, and it is looked at again. */
  | { readonly do: "note"; readonly reason: string; readonly orphan: OrphanNote }
  /** It was one at every look for long enough: what it holds is saved aside, and then it is removed. */
  | { readonly do: "rescue"; readonly reason: string };

/** All that is known of a session at one moment. */
export interface SessionFacts {
  readonly session: RunningSession;
  readonly record: ReplRecord | undefined;
  readonly report: SessionReport | undefined;
}

/** Owners are told this long before a session is closed for them. */
const warningSeconds = 120;
/** A start has failed and undone itself long before. */
const longestStartSeconds = 600;
/** What looks orphaned may be on its way. */
const graceSeconds = 600;
/** One absence is a claim of somebody else; so many in a row, minutes apart, are believed. */
const minimumLooks = 5;
/** A runner reports every ten seconds; one that was silent for longer says nothing of its people. */
const reportIsOldSeconds = 60;
/** A pod that is lost so often will be lost again. */
export const maximumLosses = 3;

/** Decides about one session. Whether a workflow is at work on it decides Temporal, when one is started. */
export function reviewSession({ session, record, report }: SessionFacts, lifetimes: Lifetimes, now: Date): Verdict {
  const secondsSince = (time: string) => (now.getTime() - Date.parse(time)) / 1000;
  const age = secondsSince(session.createdAt);
  if (record?.sessionId === session.id && session.ending === "deleting")
    return { do: "delete", reason: "its deletion was interrupted" };
  if (record?.sessionId === session.id && session.ending === "stopping")
    return { do: "close", reason: "its close was interrupted" };
  if (!isWriter(record, session)) {
    const reason = orphanReason(record, session);
    if (age <= graceSeconds) return { do: "nothing" };
    const { since = now.toISOString(), looks = 0 } = session.orphan ?? {};
    const isSure = looks >= minimumLooks && secondsSince(since) > graceSeconds;
    return isSure ? { do: "rescue", reason } : { do: "note", reason, orphan: { since, looks: looks + 1 } };
  }
  if (!session.isReady && !hasStarted(record, session) && age > longestStartSeconds)
    return { do: "close", reason: "it did not start" };
  const { lastLoss } = record;
  if (lastLoss?.sessionId === session.id && (lastLoss.count ?? 1) >= maximumLosses)
    return { do: "close", reason: `its container was lost ${lastLoss.count} times` };

  const idleFor = idleSeconds(report, secondsSince);
  const ends = [
    { left: lifetimes.maximumSeconds - age, reason: `it was open for ${inWords(lifetimes.maximumSeconds)}` },
    ...(idleFor === undefined
      ? []
      : [{ left: lifetimes.idleSeconds - idleFor, reason: `nobody used it for ${inWords(lifetimes.idleSeconds)}` }]),
  ].sort((a, b) => a.left - b.left);
  const [next] = ends;
  if (!next || next.left > warningSeconds) return { do: "nothing" };
  if (next.left <= 0) return { do: "close", reason: next.reason };
  return { do: "warn", reason: next.reason, at: new Date(now.getTime() + next.left * 1000).toISOString() };
}

/** Whether a session was once open. A release that noted no session of an opening noted its time. */
function hasStarted({ restored, lastOpenedAt, lastOpenedSession }: ReplRecord, session: Session): boolean {
  if (restored?.sessionId !== session.id) return false;
  return lastOpenedSession === undefined ? lastOpenedAt !== undefined : lastOpenedSession === session.id;
}

/** Whether a session may write its REPL's files; one that may not is an orphan. */
export function isWriter(record: ReplRecord | undefined, session: Session): record is ReplRecord {
  return record !== undefined && record.sessionId === session.id && record.endedSession !== session.id;
}

/** Why nobody would want an orphan any more. */
function orphanReason(record: ReplRecord | undefined, session: Session): string {
  if (!record) return "the registry has no such REPL";
  return record.sessionId === session.id
    ? "its end has come already"
    : "another session is the writer of its files now";
}

/** Undefined while it is not known, or while somebody is there. */
function idleSeconds(report: SessionReport | undefined, secondsSince: (time: string) => number): number | undefined {
  if (!report || report.connections > 0 || secondsSince(report.reportedAt) > reportIsOldSeconds) return undefined;
  return secondsSince(report.lastActivityAt);
}

function inWords(seconds: number): string {
  const unit =
    seconds >= 7200
      ? { name: "hours", size: 3600 }
      : seconds >= 120
        ? { name: "minutes", size: 60 }
        : { name: "seconds", size: 1 };
  return `${Math.round(seconds / unit.size)} ${unit.name}`;
}
