import type { Holder } from "../domain/holder.ts";
import type { ReplRecord, Session, User } from "../domain/repl.ts";
import type { NotSaved, SaveSummary } from "../domain/save.ts";
import type { PublishedTemplate } from "../domain/template.ts";

/** Activities and workflows take one object, so that fields can be added. */

export interface SessionInput {
  readonly session: Session;
}

export interface SaveWorkspaceInput extends SessionInput, ReplInput {
  /** The newest save that is known of: a registry that names an older one is not believed. */
  readonly lastSave?: SaveSummary;
}

export interface RemoveResourcesInput extends SessionInput {
  /** Of a close: what its save found. Nothing is removed where another pod holds the files since, or has saved. */
  readonly after?: { readonly generation: number; readonly holder?: Holder | undefined; readonly lost?: string };
  /** Waits until the pod has ended: what is removed after it must not be saved once more by it. */
  readonly untilGone?: boolean;
  /** Of a start that failed: a session that somebody may be at work in stays. */
  readonly isUndo?: boolean;
  /** Of a going back that failed, also before its session became the writer: it never may any more. */
  readonly isFence?: boolean;
  /** Of a create: nobody has a ticket for the REPL before it is published. */
  readonly isNew?: boolean;
}

/** What a start of a REPL is about; the same for a create and an open. */
export interface StartInput extends SessionInput {
  readonly repl: ReplRecord;
  readonly template: PublishedTemplate;
  readonly ticketKey: string;
  /** The save that a new REPL starts with, in place of the template's files. */
  readonly copyOf?: {
    readonly replId: string;
    readonly save: SaveSummary;
    /** Of a rescued workspace, which that save is of. */
    readonly sessionId?: string;
  };
}

export interface ReplInput {
  readonly replId: string;
  readonly owner: User;
  /** Of the REPL that is meant, where another one may come to have its id. */
  readonly createdAt?: string;
}

export interface RestoreSaveInput extends ReplInput {
  /** A fresh one: whoever wrote before is fenced by it. */
  readonly sessionId: string;
  readonly generation: number;
  /** One file or folder; everything when absent. */
  readonly path?: string;
}

/** What one run of the reconciler is about; everything of everybody when empty. */
export interface ReconcileInput {
  /** Say what would be done, and do nothing. */
  readonly isDryRun?: boolean;
  readonly userId?: string;
  /** In place of the configured time. */
  readonly idleSeconds?: number;
  /** So many orphans are rescued and removed in one run; of more none is. */
  readonly maximumOrphans?: number;
  /** Where to go on. */
  readonly cursor?: string;
}

/** A REPL that is to be closed or deleted, by the workflow that its owner would start. */
export type EndOfRepl = ReplInput & { readonly reason: string } & (
    | { readonly workflow: "close"; readonly lastSave: SaveSummary }
    | { readonly workflow: "delete" }
  );

/** A session that nobody wants any more, by what was seen at every look for long enough. */
export interface OrphanInput extends SessionInput {
  readonly reason: string;
}

export interface Rescue {
  readonly outcome: "rescued" | "nothing to rescue" | "writer again";
  readonly save?: SaveSummary;
  /** What of its pod could not be saved, and goes with it. */
  readonly notSaved?: NotSaved;
}

export interface SessionsReview {
  /** To be rescued and removed; absent when there are none. */
  readonly orphans?: readonly OrphanInput[];
  /** How many looked like orphans, those among them that are not believed to be any yet; absent when none did. */
  readonly orphansSeen?: number;
  readonly seen: number;
  readonly ends: readonly EndOfRepl[];
  readonly findings: readonly string[];
  readonly next?: string;
}

export interface RemainsReview {
  /** Pods without a Deployment that may not save; absent when there are none. */
  readonly orphans?: readonly OrphanInput[];
  /** Absent when there are none. */
  readonly ends?: readonly EndOfRepl[];
  readonly findings: readonly string[];
}

export interface OpenedRepl {
  readonly replId: string;
  readonly replName: string;
  readonly url: string;
  readonly sessionId: string;
}

export interface ClosedRepl {
  readonly replId: string;
  /**
   * `lost` says what could not be saved any more, because its container was gone; `notSaved` names paths that cannot be
   * saved at all.
   */
  readonly save: SaveSummary & { readonly lost?: string; readonly notSaved?: NotSaved };
}
