import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import type { ClosedRepl, OpenedRepl, ReplInput, RestoreSaveInput, StartInput } from "../activities/inputs.ts";
import { ReplError } from "../domain/errors.ts";
import { taskQueue, workflowIdOf } from "../domain/naming.ts";
import type { Repl } from "../domain/repl.ts";
import type { SaveSummary } from "../domain/save.ts";
import type * as workflows from "../workflows/index.ts";
import type { ShutdownInput } from "../workflows/shutdown-repl.ts";
import { outcomeOf, unavailable } from "./workflow-failures.ts";

type Workflows = typeof workflows;
type WorkflowName = Exclude<keyof Workflows, "pruneSaves" | "reconcileRepls">;

/** How long Temporal may take to answer a question. */
const questionTimeoutMs = 5000;
/** A command that is given up may have begun all the same, so a slow Temporal is waited for longer. */
const commandTimeoutMs = 15_000;
const safeToReset =
  "Safe to reset to the first task: yes. Each step looks at what is there and does only what is missing.";
const keys = {
  ReplId: defineSearchAttributeKey("ReplId", "KEYWORD"),
  UserId: defineSearchAttributeKey("UserId", "KEYWORD"),
  Template: defineSearchAttributeKey("Template", "KEYWORD"),
};
const doing: Readonly<Record<WorkflowName, string>> = {
  createRepl: "being created",
  openRepl: "being opened",
  shutdownRepl: "being closed",
  deleteRepl: "being deleted",
  rescueRepl: "held by an earlier session that is saved aside first",
  restoreRepl: "being taken back to an older save",
};

/** What its caller was told of the REPL. It is `stopped` a moment before the workflow that closes it ends. */
type Told = Partial<Pick<Repl, "status">>;

/** A workflow of the REPL that runs already. */
interface Met {
  readonly name: WorkflowName;
  readonly handle: WorkflowHandle;
  /** Its save has failed some times and is tried again. */
  readonly isFailing: boolean;
  /** Why its step has failed that is tried again. */
  readonly problem?: string;
}

/** One that fails may be a moment's trouble. */
const failedSaves = 2;

const savesThatFail = new Set(["saveWorkspace", "rescueWorkspace"]);

function troubleOf({ raw }: WorkflowExecutionDescription): Pick<Met, "isFailing" | "problem"> {
  const pending = raw.pendingActivities ?? [];
  const save = pending.find(({ activityType }) => savesThatFail.has(activityType?.name ?? ""));
  const problem = pending.map(({ lastFailure }) => lastFailure?.message).find(Boolean);
  return { isFailing: (save?.attempt ?? 1) > failedSaves, ...(problem ? { problem } : {}) };
}

/** A command that Temporal has accepted: it ends as promised even when this process dies. */
export interface Started<Result> {
  /** Resolves when the REPL has its place in the quota; throws what refused it. */
  accepted(): Promise<void>;
  /** Throws a ReplError with the reason when the workflow failed. */
  result(): Promise<Result>;
}

export type ReplWorkflows = ReturnType<typeof createReplWorkflows>;

/** The only door to the workflows: one id per REPL is the lock, and what meets a running one is decided here. */
export function createReplWorkflows(client: Client) {
  interface About {
    readonly replId: string;
    readonly userId: string;
    readonly template?: string;
    readonly summary: string;
    /** Never again once a workflow of this id has completed: the caller's key made the id. */
    readonly isOnlyOnce?: boolean;
  }

  async function start<Name extends WorkflowName>(
    name: Name,
    input: Parameters<Workflows[Name]>[0],
    about: About,
  ): Promise<WorkflowHandle<Workflows[Name]>> {
    const attributes = [
      { key: keys.ReplId, value: about.replId },
      { key: keys.UserId, value: about.userId },
      ...(about.template ? [{ key: keys.Template, value: about.template }] : []),
    ];
    const options = {
      workflowId: workflowIdOf(about.replId),
      taskQueue,
      args: [input],
      workflowIdConflictPolicy: "FAIL",
      workflowIdReusePolicy: about.isOnlyOnce ? "ALLOW_DUPLICATE_FAILED_ONLY" : "ALLOW_DUPLICATE",
      typedSearchAttributes: attributes,
      staticSummary: about.summary,
      staticDetails: safeToReset,
    };
    const begun = reachable(() => client.workflow.start(name, options as never), commandTimeoutMs);
    return begun as Promise<WorkflowHandle<Workflows[Name]>>;
  }

  /** Starts a workflow, or hands a running one of the REPL to `meet`, which attaches to it, makes way or refuses. */
  async function startOrMeet<Name extends WorkflowName>(
    name: Name,
    input: Parameters<Workflows[Name]>[0],
    about: About,
    meet: (running: Met) => Promise<"attach" | "again">,
  ): Promise<WorkflowHandle> {
    // A running one may end between the two calls, and another may start: a few rounds settle it.
    for (let round = 1; round <= 5; round++) {
      try {
        return await start(name, input, about);
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
      const handle = client.workflow.getHandle(workflowIdOf(about.replId));
      const running = await reachable(() => handle.describe()).catch((error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      });
      const pinned = running && client.workflow.getHandle(running.workflowId, running.runId);
      if (pinned && about.isOnlyOnce && running.status.name === "COMPLETED") {
        if (running.type === "deleteRepl")
          throw new ReplError("conflict", "Idempotency-Key: the REPL it made was deleted; take a new one.");
        return pinned;
      }
      if (!pinned || running.status.name !== "RUNNING") continue;
      const met = { name: running.type as WorkflowName, handle: pinned, ...troubleOf(running) };
      if ((await meet(met)) === "attach") return pinned;
    }
    throw new ReplError("conflict", "This REPL is busy. Try again in a moment.");
  }

  const refuse = ({ name, problem }: Met): never => {
    const why = problem ? ` It has failed so far, and goes on trying: ${problem}` : "";
    throw new ReplError("conflict", `This REPL is ${doing[name] ?? "busy"}. Try again when that has ended.${why}`);
  };

  /** Refuses, but not a caller who was told that the close is over: its last step is waited for. */
  const refuseUnlessOver = async (running: Met, { status }: Told): Promise<"again"> => {
    if (status !== "stopped" || running.name !== "shutdownRepl") return refuse(running);
    const patience = AbortSignal.timeout(questionTimeoutMs);
    await client
      .withAbortSignal(patience, () => running.handle.result())
      .catch((error: unknown) => {
        if (patience.aborted) refuse(running);
        if (!(error instanceof WorkflowFailedError)) throw unavailable(error);
      });
    return "again";
  };

  /** A close that cannot save makes way for its owner, who may go on, or want the REPL no more. */
  const makesWay = ({ name, isFailing }: Met): boolean => name === "shutdownRepl" && isFailing;

  /** What an earlier session holds is no more wanted than its REPL. */
  const isFailingRescue = ({ name, isFailing }: Met): boolean => name === "rescueRepl" && isFailing;

  /** Cancels a start, and waits until its compensation has removed everything, or a close that removes nothing. */
  const cancel = async ({ handle }: Met): Promise<"again"> => {
    await reachable(() => handle.cancel(), commandTimeoutMs).catch(ignoreNotFound);
    await handle.result().catch((error: unknown) => {
      if (!(error instanceof WorkflowFailedError)) throw error;
    });
    return "again";
  };

  const isStart = ({ name }: Met) => name === "createRepl" || name === "openRepl";

  return {
    /** With `isOnlyOnce` a REPL of this id that was there before is never made again. */
    async create(
      input: StartInput,
      { isOnlyOnce = false }: { readonly isOnlyOnce?: boolean } = {},
    ): Promise<Started<OpenedRepl>> {
      const { repl } = input;
      const about = {
        replId: repl.id,
        userId: repl.owner.id,
        template: repl.template,
        isOnlyOnce,
        summary: `Create “${plain(repl.name)}” (${repl.template}) for ${repl.owner.login}`,
      };
      return started(
        await startOrMeet("createRepl", input, about, async (running) =>
          isStart(running) ? "attach" : refuse(running),
        ),
      );
    },

    async open(input: StartInput, told: Told = {}): Promise<Started<OpenedRepl>> {
      const { repl } = input;
      const about = {
        replId: repl.id,
        userId: repl.owner.id,
        template: repl.template,
        summary: `Open “${plain(repl.name)}” for ${repl.owner.login}`,
      };
      return started(
        await startOrMeet("openRepl", input, about, async (running) => {
          if (isStart(running)) return "attach";
          return makesWay(running) ? cancel(running) : refuseUnlessOver(running, told);
        }),
      );
    },

    async close(input: ShutdownInput): Promise<ClosedRepl> {
      const about = {
        replId: input.replId,
        userId: input.owner.id,
        summary: `Close ${input.replId} for ${input.owner.login}`,
      };
      const handle = await startOrMeet("shutdownRepl", input, about, async (running) => {
        if (isStart(running)) return cancel(running);
        return running.name === "shutdownRepl" ? "attach" : refuse(running);
      });
      return resultOf<ClosedRepl>(handle);
    },

    async remove(input: ReplInput, told: Told = {}): Promise<void> {
      const about = {
        replId: input.replId,
        userId: input.owner.id,
        summary: `Delete ${input.replId} of ${input.owner.login}`,
      };
      const handle = await startOrMeet("deleteRepl", input, about, async (running) => {
        if (isStart(running) || makesWay(running) || isFailingRescue(running)) return cancel(running);
        return running.name === "deleteRepl" ? "attach" : refuseUnlessOver(running, told);
      });
      await resultOf(handle);
    },

    async restore(input: RestoreSaveInput, told: Told = {}): Promise<{ replId: string; save: SaveSummary }> {
      const what = input.path === undefined ? "" : ` of ${plain(input.path)}`;
      const about = {
        replId: input.replId,
        userId: input.owner.id,
        summary: `Go back to save ${input.generation}${what} of ${input.replId} for ${input.owner.login}`,
      };
      const refuseOthers = (running: Met) => refuseUnlessOver(running, told);
      return resultOf(await startOrMeet("restoreRepl", input, about, refuseOthers));
    },

    async check(): Promise<void> {
      await reachable(() => client.connection.workflowService.getSystemInfo({}));
    },
  };

  function started(handle: WorkflowHandle): Started<OpenedRepl> {
    return {
      async accepted() {
        try {
          await handle.executeUpdate("accepted");
        } catch (error) {
          // It has ended already, or ended while we asked: its own result says how.
          if (!(error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError))
            throw unavailable(error);
          await resultOf(handle);
        }
      },
      result: () => resultOf<OpenedRepl>(handle),
    };
  }

  async function resultOf<Result>(handle: WorkflowHandle): Promise<Result> {
    try {
      return (await handle.result()) as Result;
    } catch (error) {
      throw error instanceof WorkflowFailedError ? outcomeOf(error) : unavailable(error);
    }
  }

  /** Runs a short call with a time limit; Temporal being away is `unavailable`. */
  async function reachable<T>(call: () => Promise<T>, timeoutMs = questionTimeoutMs): Promise<T> {
    try {
      return await client.withDeadline(Date.now() + timeoutMs, call);
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError || error instanceof WorkflowNotFoundError) throw error;
      throw unavailable(error);
    }
  }
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

/** The UI renders summaries as Markdown, and a name is whatever its owner typed. */
function plain(name: string): string {
  return name.replace(/[\\`*_{}[\]()<>#+!|~-]/g, "\\$&");
}
