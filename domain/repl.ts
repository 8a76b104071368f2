import { ReplError } from "./errors.ts";
import type { SaveSummary, UnsavedWork } from "./save.ts";

export type ReplId = string;

export type ReplStatus = "creating" | "stopped" | "starting" | "running" | "stopping" | "deleting" | "failed";

/** Ownership follows GitHub's numeric id, because a login can be renamed. */
export interface User {
  readonly id: string;
  readonly login: string;
}

/** What the registry keeps of a REPL: the truth about it, without anything that only holds while it runs. */
export interface ReplRecord {
  readonly id: ReplId;
  readonly name: string;
  /** The owner as they were called when the REPL was made: their files stay under that login. */
  readonly owner: User;
  readonly template: string;
  readonly createdAt: string;
  readonly lastOpenedAt?: string;
  /** The session of that opening: somebody may have worked in it since. */
  readonly lastOpenedSession?: string;
  /** The workflow run that made the record, and that alone may undo it. */
  readonly madeBy?: string;
  /** The one session that may write this REPL's files; a save by any other is refused. */
  readonly sessionId?: string;
  /** The session whose end has come: it may not write any more, although no other one has begun. */
  readonly endedSession?: string;
  /** The workflow run of a going back that has failed: no attempt of it may go on. */
  readonly failedRun?: string;
  readonly lastSave?: SaveSummary;
  /** The pod that holds the session's files: the one that restored them last. */
  readonly restored?: {
    readonly sessionId: string;
    readonly pod: string;
    /** Since when. Absent in records of releases that noted no end of a session either. */
    readonly at?: string;
    /** It has not every file yet, so nobody was let in and nothing can be lost with it. */
    readonly filling?: true;
    /** It has made its last checkpoint and writes no more. */
    readonly released?: true;
    /** What that checkpoint could not save, in words: it goes with the pod, unless that lives again. */
    readonly notSaved?: string;
    /** The cluster has no such pod any more, or it failed. */
    readonly gone?: true;
  };
  /** What was lost with the last session, as its close said, in words. Absent where nothing was. */
  readonly lastEnd?: { readonly sessionId: string; readonly lost: string };
  /** What sessions have lost that came to no close, in words: the next close tells it. */
  readonly untold?: string;
  /** The last time that work was lost with a pod, and the save that its successor began with. */
  readonly lastLoss?: {
    readonly sessionId: string;
    readonly at: string;
    readonly generation: number;
    /** How often that session has lost its pod. */
    readonly count?: number;
    /** The first of those times, where there were more. */
    readonly first?: { readonly at: string; readonly generation: number };
    /** What could not be saved when a pod handed over, in words. */
    readonly notSaved?: string;
  };
}

/**
 * The session that a record says is open: a pod of it restored the files, and it has not come to its end. One that has
 * handed them over has a successor. Undefined where none is, and in records of releases that noted no end.
 */
export function openSessionOf({ id, owner, sessionId, endedSession, restored }: ReplRecord): Session | undefined {
  if (sessionId === undefined || sessionId === endedSession) return undefined;
  if (restored?.sessionId !== sessionId || restored.at === undefined) return undefined;
  return { id: sessionId, replId: id, userId: owner.id };
}

/** What a save or restore goes out from. */
export type SavedRepl = Pick<ReplRecord, "id" | "owner" | "lastSave">;

/** One running time of a REPL. */
export interface Session {
  readonly id: string;
  readonly replId: ReplId;
  readonly userId: string;
}

export type SessionState = "starting" | "running" | "stopping" | "deleting";

/** A REPL as people see it: its record and what is known of its session. */
export interface Repl extends ReplRecord {
  readonly status: ReplStatus;
  readonly statusReason?: string;
  readonly url?: string;
  /** What would be lost with its container now. */
  readonly unsaved?: UnsavedWork;
}

/** What is known of a REPL at a moment: its record, and what holds only now. */
export interface KnownRepl {
  readonly record: ReplRecord;
  readonly session?: KnownSession;
  /** True until it has been opened for the first time. */
  readonly isCreating?: boolean;
  /** Why the last open failed. */
  readonly failure?: string;
}

export interface KnownSession {
  readonly id: string;
  readonly state: SessionState;
  readonly url?: string;
  readonly reason?: string;
  readonly unsaved?: UnsavedWork;
}

export function replFrom({ record, session, isCreating, failure }: KnownRepl): Repl {
  const reason = session ? session.reason : (failure ?? record.lastEnd?.lost);
  return {
    ...record,
    status: statusFrom(session?.state, isCreating, failure),
    ...(reason ? { statusReason: reason } : {}),
    ...(session?.state === "running" && session.url ? { url: session.url } : {}),
    ...(session?.unsaved ? { unsaved: session.unsaved } : {}),
  };
}

export function statusFrom(state: SessionState | undefined, isCreating = false, failure = ""): ReplStatus {
  if (state === "starting" && isCreating) return "creating";
  return state ?? (failure ? "failed" : "stopped");
}

/** Newest first; of two made in the same millisecond, always the same one. */
export function byCreation(a: ReplRecord, b: ReplRecord): number {
  return Date.parse(b.createdAt) - Date.parse(a.createdAt) || (a.id < b.id ? 1 : -1);
}

export const maximumNameLength = 60;

/** Trims and checks a REPL's name: 1 to 60 printable characters. Throws `invalid`. */
export function parseReplName(value: string): string {
  const name = value.trim().normalize("NFC");
  const length = [...name].length;
  if (length < 1 || length > maximumNameLength)
    throw new ReplError("invalid", `name: use 1 to ${maximumNameLength} characters, this has ${length}`);
  // Format characters (Cf) would let one name imitate another, except those that join emoji and scripts.
  if (/[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(name))
    throw new ReplError("invalid", "name: use printable characters only");
  return name;
}

/** Whether a name has the shape of our ids: a DNS-1035 label of at most 40 characters that begins with `repl-`. */
export function isReplId(value: string): boolean {
  return /^repl-[a-z0-9]([a-z0-9-]{0,33}[a-z0-9])?$/.test(value);
}

/** Checks the shape of an id ({@link isReplId}). Throws `not_found`. */
export function parseReplId(value: string): ReplId {
  if (!isReplId(value)) throw new ReplError("not_found", "There is no such REPL.");
  return value;
}
