import type { RunningSession } from "./ports.ts";
import { statusFrom, type KnownSession, type ReplId, type ReplRecord } from "./repl.ts";

/** All that is known of one REPL, each part from where it is true. */
export interface ReplFacts {
  readonly replId: ReplId;
  readonly record?: ReplRecord | undefined;
  /** Why the record or the newest save cannot be read; absent when both can. */
  readonly broken?: string | undefined;
  /** Files of the newest save that the store does not have any more. */
  readonly missing?: readonly string[];
  /** What lies in the bucket of a REPL without a record, and when something was last stored there. */
  readonly left?: { readonly prefixes: readonly string[]; readonly newestAt: string } | undefined;
  /** Its deletion has begun, and there may still be files of it. */
  readonly isBeingDeleted?: boolean;
  readonly session?: RunningSession | undefined;
  /** What the look-ups say of a session. */
  readonly known?: KnownSession | undefined;
  readonly workflow?: RunningWorkflow | undefined;
}

export interface RunningWorkflow {
  readonly type: string;
  readonly startedAt: string;
}

/** What must always hold of a REPL, by the names of reliability.md. */
export interface Violation {
  readonly invariant: "I2" | "I4" | "I7" | "I8" | "I11" | "I12";
  readonly replId: ReplId;
  readonly what: string;
}

/** A start is over within minutes. A close may wait for an operator, who should know of it. */
const longestWorkflowSeconds = 600;

/**
 * What does not hold. Between two steps of a workflow much is on its way, so nothing is said of what a workflow is
 * at work on, and of what has not been so for `graceSeconds`.
 */
export function findViolations(facts: ReplFacts, now: Date, graceSeconds: number): Violation[] {
  const { replId, record, broken, missing = [], left, session, known, workflow } = facts;
  const found: Violation[] = [];
  const say = (invariant: Violation["invariant"], what: string) => found.push({ invariant, replId, what });
  const secondsSince = (time: string) => (now.getTime() - Date.parse(time)) / 1000;
  const isSettled = !workflow && (!session || secondsSince(session.createdAt) > graceSeconds);

  if (broken) say("I12", broken);
  if (missing.length > 0) say("I12", `of its newest save ${missing.length} files are gone: ${inShort(missing)}`);
  if (workflow && secondsSince(workflow.startedAt) > longestWorkflowSeconds)
    say("I11", `${workflow.type} has been running since ${workflow.startedAt}`);
  if (!isSettled) return found;
  const orphan = session?.orphan ? `; it looks like an orphan since ${session.orphan.since}` : "";
  if (session && !record && !broken) say("I7", `session ${session.id} runs without a record in the registry${orphan}`);
  if (left && !record && !broken && !facts.isBeingDeleted && secondsSince(left.newestAt) > graceSeconds)
    say("I7", `there are files in the bucket without a record: ${inShort(left.prefixes)}`);
  if (session && record && record.sessionId !== session.id)
    say("I2", `session ${session.id} runs, but the writer of its files is ${record.sessionId ?? "nobody"}${orphan}`);
  if (session && record?.sessionId === session.id && record.endedSession === session.id)
    say("I2", `session ${session.id} runs, although its end has come${orphan}`);
  if (facts.isBeingDeleted) say("I4", "its deletion is half done, but no workflow is at work on it");
  if (session?.ending) say("I4", `it is ${session.ending}, but no workflow is at work on it`);
  if (!session && known) say("I8", `the look-ups say ${statusFrom(known.state)}, but nothing runs`);
  if (session && record && known?.id !== session.id)
    say("I8", `session ${session.id} runs, but the look-ups say ${known ? known.id : "that nothing does"}`);
  return found;
}

const longestList = 5;

function inShort(names: readonly string[]): string {
  return names.slice(0, longestList).join(", ") + (names.length > longestList ? ", …" : "");
}
