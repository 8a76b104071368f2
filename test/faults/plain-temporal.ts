import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { ActivityFailure, ApplicationFailure, type ActivityOptions } from "@temporalio/common";
import { toFailure } from "../../activities/failure.ts";
import type { Activities } from "../../activities/index.ts";
import type * as workflows from "../../workflows/index.ts";

/**
 * What the workflows need of Temporal, as plain calls: activities are retried by their own policy, without any time
 * between. For tests that need a thousand runs and decide themselves what an attempt meets; a test file puts
 * {@link plainTemporal} in the place of `@temporalio/workflow`. The real server runs the same code in the matrix.
 */

export interface Attempt {
  readonly name: keyof Activities;
  readonly attempt: number;
  readonly runId: string;
}

export type RunAttempt = (attempt: Attempt, input: unknown) => Promise<unknown>;

/** As many as fit into a minute of a bounded step; and so many that a step which never ends is seen. */
const triesOf = ({ retry, scheduleToCloseTimeout }: ActivityOptions): number =>
  retry?.maximumAttempts ?? (scheduleToCloseTimeout ? 6 : 40);

interface Run {
  readonly runId: string;
  readonly runAttempt: RunAttempt;
}

const runs = new AsyncLocalStorage<Run>();

export const plainTemporal = {
  proxyActivities: (options: ActivityOptions) =>
    new Proxy({}, { get: (_, name) => (input: unknown) => retried(name as keyof Activities, input, options) }),
  setCurrentDetails: () => {},
  setHandler: () => {},
  condition: async () => true,
  patched: () => true,
  log: { error: () => {}, warn: () => {}, info: () => {} },
  workflowInfo: () => ({ continueAsNewSuggested: false }),
  CancellationScope: { nonCancellable: <T>(work: () => Promise<T>) => work() },
  /** A child goes its own way; here it has ended before its parent goes on. */
  async startChild(workflow: (input: unknown) => Promise<unknown>, { args }: { args: [unknown] }) {
    const { runAttempt } = current();
    await runs.run({ runId: randomUUID(), runAttempt }, () => workflow(args[0])).catch(() => {});
  },
};

/** Runs a workflow to its end, as a run of its own. */
export function runWorkflow(
  all: typeof workflows,
  name: keyof typeof workflows,
  input: object,
  runAttempt: RunAttempt,
): Promise<unknown> {
  const workflow = all[name] as (given: object) => Promise<unknown>;
  return runs.run({ runId: randomUUID(), runAttempt }, () => workflow(input));
}

async function retried(name: keyof Activities, input: unknown, options: ActivityOptions): Promise<unknown> {
  const { runId, runAttempt } = current();
  for (let attempt = 1; ; attempt++) {
    try {
      return await runAttempt({ name, attempt, runId }, input);
    } catch (error) {
      const failure = toFailure(error);
      const isFinal = failure instanceof ApplicationFailure && failure.nonRetryable === true;
      if (!isFinal && attempt < triesOf(options)) continue;
      const cause =
        failure instanceof ApplicationFailure ? failure : ApplicationFailure.create({ message: String(failure) });
      throw new ActivityFailure("activity failed", name, name, "MAXIMUM_ATTEMPTS_REACHED", "test", cause);
    }
  }
}

function current(): Run {
  const run = runs.getStore();
  if (!run) throw new Error("no workflow runs here");
  return run;
}
