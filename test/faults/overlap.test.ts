import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Activities } from "../../activities/index.ts";
import type { StartInput } from "../../activities/inputs.ts";
import { ReplError } from "../../domain/errors.ts";
import { newRecord, newSession, newStart } from "../fakes/records.ts";
import { gate, runAttempt, type Meets } from "./gate.ts";
import { runWorkflow, type RunAttempt } from "./plain-temporal.ts";
import { createWorld, stepsOf, type World } from "./world.ts";

vi.mock("@temporalio/workflow", async (original) => ({
  ...(await original<object>()),
  ...(await import("./plain-temporal.ts")).plainTemporal,
}));
const workflows = await import("../../workflows/index.ts");

/**
 * An attempt that has timed out goes on in a living worker. Here it stands before its k-th call to the outside, for
 * every activity and every k; its retry, the undo of its workflow, or the next workflows of the same REPL run; then the
 * call that was in flight is made, and the attempt goes on without its lease. Nothing of what came after may be harmed.
 */

type Workflow = keyof typeof stepsOf | "restoreRepl";
type Name = keyof Activities;

/** When the late attempt goes on. */
const moments = ["beside its retry", "after its workflow", "after the undo", "after the next workflow"] as const;
type Moment = (typeof moments)[number];

const steps: Readonly<Record<Workflow, readonly Name[]>> = { ...stepsOf, restoreRepl: ["restoreSave"] };
/** Those whose failure is undone, or leaves all as it was. */
const undone = new Set<Workflow>(["createRepl", "openRepl", "restoreRepl"]);
const cases = (Object.keys(steps) as Workflow[]).flatMap((workflow) =>
  steps[workflow].flatMap((step) =>
    moments
      .filter((moment) => moment !== "after the undo" || undone.has(workflow))
      .map((moment) => [workflow, step, moment] as const),
  ),
);
/** No activity here makes so many calls. */
const manyCalls = 100;
const struck = { calls: 0 };
/** What looks left over may be on its way for ten. */
const elevenMinutes = 660_000;
const twentyFiveHours = 90_000_000;

describe("an attempt that is slower than what comes after it", () => {
  beforeAll(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterAll(() => void vi.useRealTimers());
  afterAll(() => console.log(`overlaps: ${cases.length} cases, ${struck.calls} calls struck`));

  it.each(cases)("%s: %s goes on %s, at any of its calls", async (workflow, step, moment) => {
    let call = 1;
    while (await overlap(workflow, step, moment, call)) call++;
    // An attempt that no fault has struck has proven nothing.
    expect(call).toBeGreaterThan(1);
    expect(call).toBeLessThan(manyCalls);
    struck.calls += call - 1;
  });
});

/** False where the activity makes fewer calls: nothing was struck. */
async function overlap(workflow: Workflow, step: Name, moment: Moment, call: number): Promise<boolean> {
  const world = createWorld(gate);
  await world.publishTemplate();
  const plain: RunAttempt = (attempt, input) => runAttempt(world.activities[attempt.name], attempt, input).ended;
  const person = createPerson(world, plain);
  await person.prepare(workflow);

  const stands = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let late: ReturnType<typeof runAttempt> | undefined;
  let hasStood = false;
  const meets: Meets = async ({ answer }, number) => {
    if (number === call) {
      hasStood = true;
      stands.resolve();
      await goOn.promise;
    }
    return answer();
  };
  /** The call that was in flight is made, and no other begins. */
  async function wake(): Promise<void> {
    late?.cancel();
    goOn.resolve();
    await late?.ended.catch(() => {});
  }
  const standing: RunAttempt = async (attempt, input) => {
    if (attempt.name !== step) return plain(attempt, input);
    if (late) {
      if (moment === "after the undo") throw new ReplError("unavailable", "the retries of this step time out too");
      const retry = plain(attempt, input);
      if (moment === "beside its retry") await wake();
      return retry;
    }
    late = runAttempt(world.activities[step], attempt, input, meets);
    late.ended.catch(() => {});
    await Promise.race([stands.promise, late.ended.catch(() => {})]);
    if (!hasStood) return late.ended;
    throw new ReplError("unavailable", "the attempt has timed out");
  };

  const isUndone = moment === "after the undo";
  const outcome = await person.run(workflow, standing).then(
    () => "ended",
    (error: unknown) => String(error),
  );
  if (!hasStood) return false;
  expect(outcome, `${step} stands before call ${call}`)[isUndone ? "not" : ("to" as "not")].toBe("ended");
  await person.look(workflow, isUndone ? "failed" : "ended");
  if (moment !== "after the next workflow") await wake();
  await person.comeToRest();
  await person.check(workflow, isUndone ? "failed" : "ended");
  await person.goOn(workflow, isUndone ? "failed" : "ended");
  if (moment === "after the next workflow") await wake();
  await person.comeToRest();
  await person.finish();
  return true;
}

/** Somebody who creates, writes, closes, opens and deletes one REPL, and knows what must be in it. */
function createPerson(world: World, plain: RunAttempt) {
  let start = newStart();
  let expected = "";
  const id = () => ({ replId: start.repl.id, owner: start.repl.owner });
  const record = () => world.ports.registry.read(start.repl.owner.id, start.repl.id);
  const statusOf = async () =>
    (await world.ports.directory.list(start.repl.owner.id)).find((repl) => repl.id === start.repl.id)?.status;

  async function inputOf(workflow: Workflow): Promise<object> {
    if (workflow === "createRepl") return start;
    const repl = (await record()) ?? start.repl;
    if (workflow === "openRepl") return (start = { ...start, repl, session: newSession(repl) });
    if (workflow === "shutdownRepl") return { ...id(), lastSave: repl.lastSave };
    if (workflow === "restoreRepl") return { ...id(), sessionId: newSession(repl).id, generation: 1 };
    return id();
  }
  async function run(workflow: Workflow, attempts: RunAttempt = plain): Promise<void> {
    await runWorkflow(workflows, workflow, await inputOf(workflow), attempts);
  }
  async function write(text: string): Promise<void> {
    await world.write(id(), text);
    expected += text;
  }
  const isOpen = async () => (await world.ports.cluster.findSession(start.repl.id)) !== undefined;
  const holds = async () => expect(await world.violations([id()])).toEqual([]);
  const reads = async () => expect(await world.read(id())).toBe(expected);

  return {
    run,

    /** Nothing is lost before the reconciler looks, and it mends the rest when what is left over is old enough. */
    async comeToRest(): Promise<void> {
      if (await record()) await reads();
      vi.setSystemTime(Date.now() + elevenMinutes);
      await runWorkflow(workflows, "reconcileRepls", {}, plain);
      if (await record()) return;
      // What a late copy has left is taken for a start that was cut short when it is a day old.
      vi.setSystemTime(Date.now() + twentyFiveHours);
      await runWorkflow(workflows, "pruneSaves", {}, plain);
    },

    /** What the workflow begins with: no REPL, one that is open, or one that is closed. */
    async prepare(workflow: Workflow): Promise<void> {
      if (workflow === "createRepl") return;
      await run("createRepl");
      await write("precious,");
      if (workflow === "shutdownRepl" || workflow === "deleteRepl") return;
      await run("shutdownRepl");
    },

    /** Going back to a save may have been told to have failed after it was done; from then on it stays as it is. */
    async look(workflow: Workflow, outcome: "ended" | "failed"): Promise<void> {
      if (workflow === "deleteRepl") expected = "";
      if (workflow !== "restoreRepl") return;
      const content = await world.read(id());
      expect(outcome === "ended" ? [""] : ["", expected]).toContain(content);
      expected = content ?? expected;
    },

    async check(workflow: Workflow, outcome: "ended" | "failed"): Promise<void> {
      const isGone = workflow === "deleteRepl" || (workflow === "createRepl" && outcome === "failed");
      if (isGone) {
        // A create whose owner was let in before it failed goes on to exist.
        if (workflow === "createRepl" && (await record())?.lastOpenedSession) return holds();
        expected = "";
        return expect(await world.tracesOf(id())).toEqual([]);
      }
      await holds();
      await reads();
      if (outcome === "failed") return;
      const isRunning = workflow === "createRepl" || workflow === "openRepl";
      expect(await statusOf()).toBe(isRunning ? "running" : "stopped");
    },

    /** The next workflows, up to a session that somebody works in. */
    async goOn(workflow: Workflow, outcome: "ended" | "failed"): Promise<void> {
      if (!(await record())) {
        // The same id once more, as with an idempotency key that is used again.
        const isReset = outcome === "failed";
        const createdAt = isReset ? start.repl.createdAt : new Date(Date.now() + 1000).toISOString();
        const repl = { ...newRecord(start.repl), createdAt };
        start = { ...start, repl, session: isReset ? start.session : newSession(repl) } satisfies StartInput;
        await run("createRepl");
        return write("again,");
      }
      if (await isOpen()) {
        if (outcome === "ended") await write(`in ${workflow},`);
        await run("shutdownRepl");
      }
      await run("openRepl");
      await write("later,");
    },

    /** Nothing that was written is lost: not in the session that is open, and not with its close. */
    async finish(): Promise<void> {
      await holds();
      await reads();
      expect(await isOpen()).toBe(true);
      await run("shutdownRepl");
      await holds();
      await reads();
      await run("openRepl");
      await reads();
      await run("deleteRepl");
      expect(await world.tracesOf(id())).toEqual([]);
    },
  };
}
