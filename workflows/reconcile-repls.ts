import { defineSearchAttributeKey, WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  ApplicationFailure,
  continueAsNew,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  workflowInfo,
} from "@temporalio/workflow";
import type { EndOfRepl, ReconcileInput } from "../activities/inputs.ts";
import { workflowIdOf } from "../domain/naming.ts";
import { reviewRemains, reviewSessions } from "./activities.ts";
import { deleteRepl } from "./delete-repl.ts";
import { shutdownRepl } from "./shutdown-repl.ts";

/** What one run has seen and done. */
export interface ReconcileReport {
  readonly sessions: number;
  /** Closes and deletions that were started; what was already under way is not counted. */
  readonly started: number;
  /** The first of them, in words. */
  readonly findings: readonly string[];
}

const nothingYet: ReconcileReport = { sessions: 0, started: 0, findings: [] };
const maximumFindings = 100;
const replId = defineSearchAttributeKey("ReplId", "KEYWORD");
const userId = defineSearchAttributeKey("UserId", "KEYWORD");

/**
 * Compares what runs with what should: ends sessions that are idle, too old or were left half-ended, through the
 * same workflows as their owners would, warns before, and removes what is left over. Started by its Schedule; safe
 * to start by hand, as a dry run too, and to reset.
 */
export async function reconcileRepls(input: ReconcileInput = {}, before = nothingYet): Promise<ReconcileReport> {
  const report = { ...before, findings: [...before.findings] };
  const note = (findings: readonly string[]) =>
    report.findings.push(...findings.slice(0, maximumFindings - report.findings.length));
  let cursor = input.cursor;
  do {
    setCurrentDetails(`Looking at sessions: ${report.sessions} so far, ${report.started} to end.`);
    const page = await reviewSessions({ ...input, ...(cursor ? { cursor } : {}) });
    report.sessions += page.seen;
    note(page.findings);
    for (const end of page.ends) if (await startEnd(end)) report.started++;
    cursor = page.next;
    if (cursor && workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof reconcileRepls>({ ...input, cursor }, report);
  } while (cursor);
  setCurrentDetails("Looking at what is left over.");
  const remains = await reviewRemains(input);
  note(remains.findings);
  for (const end of remains.ends ?? []) if (await startEnd(end)) report.started++;
  setCurrentDetails(
    [`${report.sessions} sessions, ${report.started} to end.`, ...report.findings.map((line) => `- ${line}`)].join(
      "\n",
    ),
  );
  return report;
}

/** False when a workflow of this REPL is under way: it is not interrupted, and the next run looks again. */
async function startEnd(end: EndOfRepl): Promise<boolean> {
  const { workflow, reason, ...repl } = end;
  const options = {
    workflowId: workflowIdOf(repl.replId),
    parentClosePolicy: ParentClosePolicy.ABANDON,
    typedSearchAttributes: [
      { key: replId, value: repl.replId },
      { key: userId, value: repl.owner.id },
    ],
    staticSummary: `${workflow === "close" ? "Close" : "Delete"} ${repl.replId} of ${repl.owner.login}: ${reason}`,
    staticDetails: "Started by reconcileRepls. Safe to reset to the first task: yes.",
  };
  try {
    if (end.workflow === "close")
      await startChild(shutdownRepl, { ...options, args: [{ ...repl, lastSave: end.lastSave, reason }] });
    else await startChild(deleteRepl, { ...options, args: [repl] });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error instanceof Error ? ApplicationFailure.fromError(error) : error;
  }
}
