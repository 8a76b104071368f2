import type { LoggedEvent } from "./ports.ts";
import type { Repl, ReplStatus } from "./repl.ts";
import type { SaveSummary } from "./save.ts";

/** What can happen to a REPL. `at` is an ISO time. */
export type ReplEvent =
  | {
      readonly type: "status";
      readonly at: string;
      readonly status: ReplStatus | "deleted";
      readonly statusReason?: string;
      readonly url?: string;
    }
  | {
      readonly type: "step";
      readonly at: string;
      readonly step: string;
      readonly title: string;
      readonly state: "started" | "done" | "failed";
      readonly attempt: number;
      readonly durationMs?: number;
      readonly reason?: string;
    }
  | ({ readonly type: "save"; readonly at: string } & Omit<SaveSummary, "version">)
  /** It will be closed at `closesAt`, unless somebody comes. */
  | { readonly type: "warning"; readonly at: string; readonly message: string; readonly closesAt?: string }
  | { readonly type: "error"; readonly at: string; readonly message: string };

export function statusEvent({ status, statusReason, url }: Pick<Repl, "status" | "statusReason" | "url">): ReplEvent {
  return {
    type: "status",
    at: new Date().toISOString(),
    status,
    ...(statusReason ? { statusReason } : {}),
    ...(url ? { url } : {}),
  };
}

export function errorEvent(message: string): ReplEvent {
  return { type: "error", at: new Date().toISOString(), message };
}

export function warningEvent(message: string, closesAt?: string): ReplEvent {
  return { type: "warning", at: new Date().toISOString(), message, ...(closesAt ? { closesAt } : {}) };
}

export function saveEvent({ generation, files, bytes, savedAt }: SaveSummary): ReplEvent {
  return { type: "save", at: new Date().toISOString(), generation, files, bytes, savedAt };
}

/** The steps an owner sees, by the name of their activity. */
export const stepTitles: Readonly<Record<string, string>> = {
  reserveRepl: "Reserve a place",
  reserveSession: "Reserve a place",
  copyTemplate: "Copy the template's files",
  claimSession: "Become the only writer of the files",
  applyManifests: "Ask the cluster for a container",
  waitUntilReady: "Restore the files and start",
  publishSession: "Publish the access path",
  findSession: "Find what runs",
  saveWorkspace: "Save the files",
  restoreSave: "Go back to an older save",
  removeResources: "Remove the container",
  withdrawSession: "Note the end",
  removeFiles: "Remove all files and saves",
  forgetRepl: "Forget the REPL",
};

/** While a create, open, close or deletion is under way. */
const inTransition = new Set<string>(["creating", "starting", "stopping", "deleting"]);

/**
 * The id after which somebody who comes new reads on, of a log's newest events, the newest first: what has happened
 * since the status that began what is under way, or nothing.
 */
export function presentOf(newest: readonly LoggedEvent[]): string {
  const status = newest.find(({ event }) => event.type === "status");
  const isUnderWay = status?.event.type === "status" && inTransition.has(status.event.status);
  return (isUnderWay ? status : newest[0])?.id ?? "0-0";
}

/** True when an id of the log comes after another. */
export function isAfter(id: string, other: string): boolean {
  const [milliseconds = 0, number = 0] = id.split("-").map(Number);
  const [otherMilliseconds = 0, otherNumber = 0] = other.split("-").map(Number);
  return milliseconds > otherMilliseconds || (milliseconds === otherMilliseconds && number > otherNumber);
}
