import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Activities } from "../../activities/index.ts";
import { ReplError } from "../../domain/errors.ts";
import { gate, runAttempt, type Meets } from "./gate.ts";
import { checked, createPerson, steps, type Workflow } from "./person.ts";
import type { RunAttempt } from "./plain-temporal.ts";
import { createWorld } from "./world.ts";

vi.mock("@temporalio/workflow", async (original) => ({
  ...(await original<object>()),
  ...(await import("./plain-temporal.ts")).plainTemporal,
}));

const workflows = await import("../../workflows/index.ts");

/**
 * An attempt that has timed out goes on in a living worker. Here it stands before its k-th call to the outside, for
 * every activity and every k; its retry, the undo of its workflow, or the next workflows of the same REPL run; then the
 * call that was in flight is made, and the attempt goes on without its lease, or with it, as in a worker that is cut off
 * from Temporal alone. Nothing of what came after may be harmed.
 */

/** When the late attempt goes on. */
const moments = ["beside its retry", "after its workflow", "after the undo", "after the next workflow"] as const;
type Moment = (typeof moments)[number];

const leases = ["without its lease", "with its lease"] as const;
type Lease = (typeof leases)[number];
/** What a worker that is cut off from Temporal alone may do, by docs/reliability.md, or does without end. */
const isLeftOut = (step: keyof Activities, moment: Moment) =>
  step === "waitUntilReady" || (step === "findSession" && moment === "after the next workflow");

/** Those whose failure is undone, or leaves all as it was. */
const undone = new Set<Workflow>(["createRepl", "openRepl", "restoreRepl"]);
const cases = (Object.keys(steps) as Workflow[]).flatMap((workflow) =>
  steps[workflow].flatMap((step) =>
    moments
      .filter((moment) => moment !== "after the undo" || undone.has(workflow))
      .flatMap((moment) =>
        leases
          .filter((lease) => lease === "without its lease" || !isLeftOut(step, moment))
          .map((lease) => [workflow, step, moment, lease] as const),
      ),
  ),
);
/** No activity here makes so many calls. */
const manyCalls = 100;
const struck = { calls: 0 };

describe("an attempt that is slower than what comes after it", () => {
  beforeAll(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterAll(() => void vi.useRealTimers());
  afterAll(() =>
    console.log(
      `overlaps: ${cases.length} cases, ${struck.calls} calls struck, invariants looked at ${checked.invariants} times`,
    ),
  );

  it.each(cases)("%s: %s goes on %s and %s, at any of its calls", async (workflow, step, moment, lease) => {
    let call = 1;
    while (await overlap(workflow, step, moment, lease, call)) call++;
    // An attempt that no fault has struck has proven nothing.
    expect(call).toBeGreaterThan(1);
    expect(call).toBeLessThan(manyCalls);
    struck.calls += call - 1;
  });
});

/** False where the activity makes fewer calls: nothing was struck. */
async function overlap(
  workflow: Workflow,
  step: keyof Activities,
  moment: Moment,
  lease: Lease,
  call: number,
): Promise<boolean> {
  const world = createWorld(gate);
  await world.publishTemplate();
  const plain: RunAttempt = (attempt, input) => runAttempt(world.activities[attempt.name], attempt, input).ended;
  const person = createPerson(workflows, world, plain);
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
  /** The call that was in flight is made, and no other begins without a lease. */
  async function wake(): Promise<void> {
    if (lease === "without its lease") late?.cancel();
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
