import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Activities } from "../../activities/index.ts";
import { ReplError } from "../../domain/errors.ts";
import { gate, runAttempt, type Meets, type OutsideCall } from "./gate.ts";
import { checked, createPerson, steps, type Workflow } from "./person.ts";
import type { RunAttempt } from "./plain-temporal.ts";
import { createWorld } from "./world.ts";

vi.mock("@temporalio/workflow", async (original) => ({
  ...(await original<object>()),
  ...(await import("./plain-temporal.ts")).plainTemporal,
}));
const workflows = await import("../../workflows/index.ts");

/**
 * Absence and success are claims of somebody else. Here one call of an attempt is answered wrongly, for every activity
 * and each of its calls to the outside; everything after it is answered well. Nothing may be lost, and all comes to
 * rest. What the adapters take for absence is tried at the adapters (test/unit/adapters/s3-object-store.test.ts).
 */

/** Answers of each method that show nothing. */
const nothing: Readonly<Record<string, unknown>> = {
  getText: undefined,
  getStream: undefined,
  getHead: undefined,
  head: undefined,
  list: [],
  folders: [],
  findSession: undefined,
  listSessions: [],
  pageOfSessions: { sessions: [] },
  remains: [],
  activeSession: undefined,
  runInPod: { nothing: "gone", detail: "no pod" },
  waitUntilGone: true,
};

/** The answer to one call; undefined where the lie does not fit the method. */
type Lie = (call: OutsideCall, remember: Map<string, unknown[]>) => Promise<{ readonly is: unknown } | undefined>;

const nameOf = (method: string, args: readonly unknown[]) => `${method} ${String(args[0])}`;

const lies: Readonly<Record<string, Lie>> = {
  "nothing is there": async ({ method }) => (method in nothing ? { is: nothing[method] } : undefined),
  "a list is empty": async ({ method }) =>
    method === "listVersions" || method === "marks" ? { is: (async function* () {})() } : undefined,
  "an answer of before": async ({ method, args, answer }, remember) => {
    if (method !== "getText" && method !== "listSessions") return undefined;
    const now = JSON.stringify(await answer());
    const before = (remember.get(nameOf(method, args)) ?? []).filter((one) => one && JSON.stringify(one) !== now);
    return before.length === 0 ? undefined : { is: before.at(-1) };
  },
  "a broken body": async ({ method, answer }) => {
    if (method !== "getText") return undefined;
    const found = (await answer()) as { text: string } | undefined;
    return found && { is: { ...found, text: found.text.slice(0, found.text.length / 2) } };
  },
  away: async ({ port, method }) => {
    throw new ReplError("unavailable", `${port}.${method} does not answer`);
  },
  "done, and away": async ({ port, method, answer }) => {
    await answer();
    throw new ReplError("unavailable", `${port}.${method} does not answer any more`);
  },
  "stored, and nothing is": async ({ method }) =>
    method === "putText" ? { is: { etag: "e", version: "never" } } : undefined,
};

const cases = (Object.keys(steps) as Workflow[]).flatMap((workflow) =>
  steps[workflow].flatMap((step) => Object.keys(lies).map((lie) => [workflow, step, lie] as const)),
);
const manyCalls = 100;
const struck = new Map(Object.keys(lies).map((lie) => [lie, 0]));

describe("an answer that is wrong", () => {
  beforeAll(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterAll(() => {
    vi.useRealTimers();
    const told = [...struck].map(([lie, count]) => `${lie} ${count}`).join(", ");
    console.log(
      `wrong answers: ${cases.length} cases, told: ${told}; invariants looked at ${checked.invariants} times`,
    );
  });

  it.each(cases)("%s: %s is told, at any of its calls: %s", async (workflow, step, lie) => {
    for (let call = 1; call < manyCalls; call++) {
      const told = await live(workflow, step, lies[lie] as Lie, call);
      if (told === "fewer calls") return;
      if (told === "struck") struck.set(lie, (struck.get(lie) ?? 0) + 1);
    }
    throw new Error("an activity does not make so many calls");
  });

  it("was told in each way at least once", () => {
    expect([...struck].filter(([, count]) => count === 0)).toEqual([]);
  });
});

async function live(
  workflow: Workflow,
  step: keyof Activities,
  lie: Lie,
  call: number,
): Promise<"struck" | "does not fit" | "fewer calls"> {
  const world = createWorld(gate);
  await world.publishTemplate();
  const plain: RunAttempt = (attempt, input) => runAttempt(world.activities[attempt.name], attempt, input).ended;
  const remember = new Map<string, unknown[]>();
  /** Before the workflow that meets the lie, answers are kept for it to come back. */
  const remembering: RunAttempt = (attempt, input) =>
    runAttempt(world.activities[attempt.name], attempt, input, async (one) => {
      const answer = await one.answer();
      if (one.method === "getText" || one.method === "listSessions") {
        const name = nameOf(one.method, one.args);
        remember.set(name, [...(remember.get(name) ?? []), answer]);
      }
      return answer;
    }).ended;
  const person = createPerson(workflows, world, remembering);
  await person.prepare(workflow);
  person.attempts(plain);

  let told = "fewer calls" as "struck" | "does not fit" | "fewer calls";
  let isFirst = true;
  const meets: Meets = async (one, number) => {
    if (number !== call) return one.answer();
    told = "does not fit";
    try {
      const answer = await lie(one, remember);
      if (!answer) return await one.answer();
      told = "struck";
      return answer.is;
    } catch (error) {
      told = "struck";
      throw error;
    }
  };
  const lying: RunAttempt = (attempt, input) => {
    if (attempt.name !== step || !isFirst) return plain(attempt, input);
    isFirst = false;
    return runAttempt(world.activities[step], attempt, input, meets).ended;
  };
  const outcome = await person.run(workflow, lying).then(
    () => "ended" as const,
    () => "failed" as const,
  );
  if (told !== "struck") return told;
  await person.look(workflow, outcome);
  await person.comeToRest();
  await person.findsEverything(workflow, outcome);
  return told;
}
