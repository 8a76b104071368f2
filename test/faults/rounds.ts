import type { Activities } from "../../activities/index.ts";
import type { WrongKind } from "./answers.ts";
import type { Fault } from "./world.ts";

/** What people do and what meets them, as a seeded walk draws it. */

export const actions = [
  "create",
  "fork",
  "open",
  "write",
  "checkpoint",
  "close",
  "go back",
  "remove",
  "drain",
  "end pod",
  "lose pod",
  "place pod",
  "flush",
  "dump",
  "older look-ups",
  "supersede",
  "reconcile",
  "prune",
  "clock forth",
  "clock back",
] as const;
/** What came to them after seeds were kept that name actions by their place. */
export const allActions = [...actions, "restart node"] as const;
export type Action = (typeof allActions)[number];

export interface Step {
  readonly action: Action;
  /** Whose, and which of their REPLs. */
  readonly user: number;
  readonly repl: number;
  /** Which other REPL, save, or time, where there is a choice. */
  readonly choice: number;
}

export interface PlannedFault {
  readonly activity: keyof Activities | "any";
  /** So many attempts pass before. */
  readonly skips: number;
  /** At its k-th call, or beside its effect. */
  readonly fault: WrongKind | Exclude<Fault, "refused before" | "refused after"> | "stands" | "terminated";
  readonly call: number;
  /** How many attempts meet it. */
  readonly count: number;
  /** An attempt that stands goes on after so many calls of others. */
  readonly wakes: number;
}

/** What a program in a pod meets. */
export interface PodFault {
  readonly fault: "refused" | "answer lost" | "broken" | "older";
  readonly call: number;
}

export interface Round {
  /** All at once. */
  readonly steps: readonly Step[];
  readonly faults: readonly PlannedFault[];
  readonly inPods: readonly PodFault[];
  /** Attempts that stand and were not woken yet go on before the round is looked at. */
  readonly wakesAll: boolean;
}

export const numberOfUsers = 2;
export const replsOfUser = 2;
