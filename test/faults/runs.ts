import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { vi } from "vitest";
import { ReplError } from "../../domain/errors.ts";
import { workflowIdOf } from "../../domain/naming.ts";
import type * as workflows from "../../workflows/index.ts";
import { createMemory, meetsWrong, wrongKinds, type WrongKind } from "./answers.ts";
import { runAttempt, type Meets } from "./gate.ts";
import { runWorkflow, type Attempt, type RunAttempt } from "./plain-temporal.ts";
import type { PlannedFault, PodFault } from "./rounds.ts";
import type { Fault, World } from "./world.ts";

/**
 * Workflows on plain calls (plain-temporal.ts), several at once and one at a time for each REPL, as Temporal has it.
 * Their attempts meet what is planned: a wrong answer, a standstill from which they go on later, the end of their
 * workflow.
 */

type Workflow = keyof typeof workflows;

/** What a workflow ends with that an operator has terminated. */
export const terminated = Symbol("terminated");

/** How often what has struck where. */
export const strikes = new Map<string, number>();
const count = (what: string) => strikes.set(what, (strikes.get(what) ?? 0) + 1);

/** How a workflow starts another one; a test file puts it in the place of Temporal's. */
export const children: { start: (workflow: { readonly name: string }, options: { args: [object] }) => Promise<void> } =
  {
    start: async () => {},
  };

const reads = /^(get|head|list|folders|find|page|remains|wait|active|reports|marks|check)/;
const besideEffect = new Set<string>(["before", "after", "twice", "inside"]);
/** Between two calls, so that no two things happen at the same time. */
const tickMs = 7;

interface RunsOptions {
  readonly world: World;
  readonly all: typeof workflows;
  readonly trace: (line: string) => void;
  /** Called before another workflow of the REPL can begin. */
  readonly onEnd: (name: Workflow, replId: string, result: unknown) => Promise<void>;
  /** Hears of the failure of a workflow that nobody waits for. */
  readonly onFailure: (error: unknown) => void;
  /** Whether the server takes its time between two steps, in which people and nodes go on. */
  readonly isSlow?: boolean;
}

/** In turns, one step after the other. */
const pauses = [0, 0, 300, 0, 1200, 0, 0];

export function createRuns({ world, all, trace, onEnd, onFailure, isSlow = false }: RunsOptions) {
  let steps = 0;
  let faults: { plan: PlannedFault; left: number; skips: number }[] = [];
  let podFaults: PodFault[] = [];
  /** Attempts that stand before a call, and after how many calls each goes on. */
  let standing: { in: number; call: string; goOn: () => Promise<void> }[] = [];
  const had = { lateAttempts: false, terminations: false, olderAnswers: false };
  const memory = createMemory();
  const underWay = new Map<string, Promise<unknown>>();

  world.meetInPods(() => {
    const next = podFaults.shift();
    if (!next) return ({ answer }) => answer();
    return meetsWrong(next.fault, next.call, memory, (call) => count(`in pods ${next.fault} ${call}`));
  });
  world.plan((activity) => {
    const fault = take(activity, (one) => besideEffect.has(one.fault));
    if (fault) count(`${fault.fault} ${activity}`);
    return fault?.fault as Fault | undefined;
  });
  children.start = async (workflow, { args: [input] }) => {
    const { replId, session } = input as { replId?: string; session?: { replId: string } };
    const id = replId ?? session?.replId ?? "";
    if (underWay.has(id)) throw new WorkflowExecutionAlreadyStartedError("busy", workflowIdOf(id), workflow.name);
    void command(workflow.name as Workflow, id, input).catch(onFailure);
  };

  function take(activity: string, isWanted: (fault: PlannedFault) => boolean): PlannedFault | undefined {
    for (const one of faults) {
      const { plan } = one;
      if (one.left === 0 || (plan.activity !== "any" && plan.activity !== activity) || !isWanted(plan)) continue;
      if (one.skips-- > 0) continue;
      one.left--;
      return plan;
    }
    return undefined;
  }

  /** Time goes on, and attempts that have stood long enough do too. */
  async function tick(): Promise<void> {
    vi.setSystemTime(Date.now() + tickMs);
    for (const one of standing) one.in--;
    const due = standing.filter((one) => one.in <= 0);
    standing = standing.filter((one) => one.in > 0);
    for (const { goOn } of due) await goOn();
  }

  const passing: Meets = async (call) => {
    await tick();
    memory.forgetRemoved(call);
    const answer = await call.answer();
    memory.note(call, answer);
    return answer;
  };

  /** One attempt, which meets what is planned for it. */
  async function attempt(of: Attempt, input: unknown, terminate: () => void): Promise<unknown> {
    await tick();
    if (isSlow) await turns(pauses[steps++ % pauses.length] ?? 0);
    const plan = take(of.name, ({ fault }) => !besideEffect.has(fault));
    const begin = (meets: Meets) => runAttempt(world.activities[of.name], of, input, meets);
    if (!plan) return begin(passing).ended;
    const { fault } = plan;
    const struck = (call: string) => {
      trace(`${of.name} ${of.attempt}: ${fault} at ${call}`);
      count(`${fault} ${call}`);
      had.olderAnswers ||= fault === "older";
    };
    if (isWrong(fault)) {
      const wrong = meetsWrong(fault, plan.call, memory, struck);
      return begin(async (call, number) => {
        await tick();
        return wrong(call, number);
      }).ended;
    }
    const late = await stand(plan, begin, struck);
    if (!late.isStanding) return late.ended;
    if (fault === "stands") throw new ReplError("unavailable", "the attempt has timed out");
    had.terminations = true;
    terminate();
    // Its workflow never hears of it again.
    return new Promise(() => {});
  }

  /** Begins an attempt that stands before its k-th call, if it makes so many, and then goes on without its lease. */
  async function stand(
    { call: stopsAt, wakes }: PlannedFault,
    begin: (meets: Meets) => ReturnType<typeof runAttempt>,
    struck: (call: string) => void,
  ) {
    const stands = Promise.withResolvers<boolean>();
    let before = "";
    const goesOn = Promise.withResolvers<void>();
    const { ended, cancel } = begin(async (call, number) => {
      if (number === stopsAt) {
        before = call.method;
        struck(`${call.port}.${call.method}`);
        stands.resolve(true);
        await goesOn.promise;
      }
      return passing(call, number);
    });
    const isStanding = await Promise.race([stands.promise, ended.then(isOver, isOver)]);
    if (!isStanding) return { isStanding, ended };
    had.lateAttempts = true;
    standing.push({
      in: wakes,
      call: before,
      async goOn() {
        trace("an attempt that stood goes on");
        cancel();
        goesOn.resolve();
        await ended.catch(() => {});
      },
    });
    return { isStanding, ended };
  }

  function run(name: Workflow, input: object): Promise<unknown> {
    const end = Promise.withResolvers<typeof terminated>();
    const attempts: RunAttempt = (of, given) => attempt(of, given, () => end.resolve(terminated));
    return Promise.race([runWorkflow(all, name, input, attempts), end.promise]);
  }

  /** Undefined where another workflow of this REPL is under way. */
  async function command(name: Workflow, replId: string, input: object): Promise<unknown> {
    if (underWay.has(replId)) return undefined;
    trace(`${name} ${replId}`);
    const work = run(name, input);
    underWay.set(replId, work);
    try {
      const result = await work;
      if (result === terminated) trace(`${name} ${replId}: terminated`);
      else await onEnd(name, replId, result);
      return result;
    } catch (error) {
      trace(`${name} ${replId}: ${String(error)}`);
      throw error;
    } finally {
      underWay.delete(replId);
    }
  }

  return {
    run,
    command,
    /** Whether attempts were late, workflows terminated, or answers those of before, in this walk. */
    had,
    isBusy: (replId: string) => underWay.has(replId),
    plan(planned: readonly PlannedFault[], inPods: readonly PodFault[]): void {
      faults = planned.map((plan) => ({ plan, left: plan.count, skips: plan.skips }));
      podFaults = [...inPods];
    },
    /** Every workflow has ended, those too that others have started. */
    async ended(): Promise<void> {
      await Promise.all([...underWay.values()].map((work) => work.catch(() => {})));
    },
    async wakeAll(): Promise<void> {
      for (let due = standing.splice(0); due.length > 0; due = standing.splice(0))
        for (const { goOn } of due) await goOn();
    },
    /** No server takes a request that was sent a day ago; what stands before a read sends nothing after it. */
    async wakeWriters(): Promise<void> {
      const due = standing.filter(({ call }) => !reads.test(call));
      standing = standing.filter(({ call }) => reads.test(call));
      for (const { goOn } of due) await goOn();
    },
  };
}

/** Lets whatever else is under way go on. */
export async function turns(many: number): Promise<void> {
  for (let turn = 0; turn < many; turn++) await Promise.resolve();
}

const isOver = () => false;

function isWrong(fault: PlannedFault["fault"]): fault is WrongKind {
  return (wrongKinds as readonly string[]).includes(fault);
}
