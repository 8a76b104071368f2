import { defineSearchAttributeKey, WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  ApplicationFailure,
  continueAsNew,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  workflowInfo,
} from "@temporalio/workflow";
import type { EndOfRepl, OrphanInput, ReconcileInput } from "../activities/inputs.ts";
import { workflowIdOf } from "../domain/naming.ts";
import { reviewRemains, reviewSessions } from "./activities.ts";
import { deleteRepl } from "./delete-repl.ts";
import { rescueRepl } from "./rescue-repl.ts";
import { shutdownRepl } from "./shutdown-repl.ts";

/** What one run has seen and done. */
export interface ReconcileReport {
  readonly sessions: number;
  /** Closes and deletions that were started; what was already under way is not counted. */
  readonly started: number;
  /** The first of them, in words. */
  readonly findings: readonly string[];
  /** Those of the pages that were looked at, in a run that goes on as a new one. */
  readonly orphans?: readonly OrphanInput[];
}

const nothingYet: ReconcileReport = { sessions: 0, started: 0, findings: [] };
const maximumFindings = 100;
/** More at once are no accidents: the registry has lost something, and people may be at work in all of them. */
const standardMaximumOrphans = 3;
const replId = defineSearchAttributeKey("ReplId", "KEYWORD");
const userId = defineSearchAttributeKey("UserId", "KEYWORD");

/**
 * Compares what runs with what should: ends sessions that are idle, too old or were left half-ended, through the
 * same workflows as their owners would, warns before, and removes what is left over. Started by its Schedule; safe
 * to start by hand, as a dry run too, and to reset.
 */
export async function reconcileRepls(input: ReconcileInput = {}, before = nothingYet): Promise<ReconcileReport> {
  const { maximumOrphans = standardMaximumOrphans } = input;
  const report = { ...before, findings: [...before.findings], orphans: [...(before.orphans ?? [])] };
  const note = (findings: readonly string[]) =>
    report.findings.push(...findings.slice(0, maximumFindings - report.findings.length));
  let cursor = input.cursor;
  do {
    setCurrentDetails(`Looking at sessions: ${report.sessions} so far, ${report.started} to end.`);
    const page = await reviewSessions({ ...input, ...(cursor ? { cursor } : {}) });
    report.sessions += page.seen;
    note(page.findings);
    for (const end of page.ends) if (await startEnd(end)) report.started++;
    report.orphans.push(...(page.orphans ?? []).slice(0, maximumOrphans + 1 - report.orphans.length));
    cursor = page.next;
    if (cursor && workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof reconcileRepls>({ ...input, cursor }, report);
  } while (cursor);
  setCurrentDetails("Looking at what is left over.");
  const remains = await reviewRemains(input);
  note(remains.findings);
  for (const end of remains.ends ?? []) if (await startEnd(end)) report.started++;
  report.orphans.push(...(remains.orphans ?? []));
  if (report.orphans.length > maximumOrphans)
    note([
      `more than ${maximumOrphans} orphans at once: none is removed. If the registry is right about them, start reconcileRepls with a greater maximumOrphans.`,
    ]);
  else for (const orphan of report.orphans) if (await startRescue(orphan)) report.started++;
  setCurrentDetails(
    [`${report.sessions} sessions, ${report.started} to end.`, ...report.findings.map((line) => `- ${line}`)].join(
      "\n",
    ),
  );
  const { orphans: _, ...told } = report;
  return told;
}

/** False when a workflow of this REPL is under way. */
function startRescue({ session, reason }: OrphanInput): Promise<boolean> {
  return start(session.replId, session.userId, (options) =>
    startChild(rescueRepl, {
      ...options,
      staticSummary: `Rescue session ${session.id} of ${session.replId}: ${reason}`,
      args: [{ session, reason }],
    }),
  );
}

function startEnd(end: EndOfRepl): Promise<boolean> {
  const { workflow, reason, ...repl } = end;
  return start(repl.replId, repl.owner.id, async (options) => {
    const staticSummary = `${workflow === "close" ? "Close" : "Delete"} ${repl.replId} of ${repl.owner.login}: ${reason}`;
    if (end.workflow === "close")
      await startChild(shutdownRepl, {
        ...options,
        staticSummary,
        args: [{ ...repl, lastSave: end.lastSave, reason }],
      });
    else await startChild(deleteRepl, { ...options, staticSummary, args: [repl] });
  });
}

/** False when a workflow of this REPL is under way: it is not interrupted, and the next run looks again. */
async function start(
  id: string,
  owner: string,
  child: (options: ReturnType<typeof childOptions>) => Promise<unknown>,
): Promise<boolean> {
  try {
    await child(childOptions(id, owner));
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error instanceof Error ? ApplicationFailure.fromError(error) : error;
  }
}

function childOptions(id: string, owner: string) {
  return {
    workflowId: workflowIdOf(id),
    parentClosePolicy: ParentClosePolicy.ABANDON,
    typedSearchAttributes: [
      { key: replId, value: id },
      { key: userId, value: owner },
    ],
    staticDetails: "Started by reconcileRepls. Safe to reset to the first task: yes.",
  };
}
