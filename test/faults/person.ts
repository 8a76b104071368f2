import { expect, vi } from "vitest";
import type { Activities } from "../../activities/index.ts";
import type { StartInput } from "../../activities/inputs.ts";
import { findRescued, readRescued } from "../../domain/rescue.ts";
import type * as allWorkflows from "../../workflows/index.ts";
import { newRecord, newSession, newStart } from "../fakes/records.ts";
import { runWorkflow, type RunAttempt } from "./plain-temporal.ts";
import { stepsOf, type World } from "./world.ts";

export type Workflow = keyof typeof stepsOf | "restoreRepl" | "rescueRepl" | "reconcileRepls" | "pruneSaves";
type Outcome = "ended" | "failed";

export const steps: Readonly<Record<Workflow, readonly (keyof Activities)[]>> = {
  ...stepsOf,
  restoreRepl: ["restoreSave"],
  rescueRepl: ["rescueWorkspace", "removeResources", "withdrawSession"],
  reconcileRepls: ["reviewSessions", "reviewRemains"],
  pruneSaves: ["pruneOldSaves"],
};
/** How often all invariants of a REPL were looked at. */
export const checked = { invariants: 0 };

/** What looks left over may be on its way for ten. */
const elevenMinutes = 660_000;
/** What looks like an orphan is looked at so often, and once more before it is removed. */
const looks = 8;
const twentyFiveHours = 90_000_000;

/** Somebody who creates, writes, closes, opens and deletes one REPL, and knows what must be in it. */
export function createPerson(workflows: typeof allWorkflows, world: World, first: RunAttempt) {
  let plain = first;
  let start = newStart();
  let expected = "";
  /** What was written is in a pod that may not save it. */
  let isOrphan = false;
  const id = () => ({ replId: start.repl.id, owner: start.repl.owner });
  const record = () => world.ports.registry.read(start.repl.owner.id, start.repl.id);
  const statusOf = async () =>
    (await world.ports.directory.list(start.repl.owner.id)).find((repl) => repl.id === start.repl.id)?.status;

  async function inputOf(workflow: Workflow): Promise<object> {
    if (workflow === "createRepl") return start;
    const repl = (await record()) ?? start.repl;
    if (workflow === "openRepl") return (start = { ...start, repl, session: newSession(repl) });
    if (workflow === "shutdownRepl") return { ...id(), lastSave: repl.lastSave };
    if (workflow === "rescueRepl") return { session: start.session, reason: "another session is the writer" };
    if (workflow === "reconcileRepls" || workflow === "pruneSaves") return {};
    if (workflow === "restoreRepl") return { ...id(), sessionId: newSession(repl).id, generation: 1 };
    return { ...id(), createdAt: repl.createdAt };
  }
  async function run(workflow: Workflow, attempts: RunAttempt = plain): Promise<void> {
    await runWorkflow(workflows, workflow, await inputOf(workflow), attempts);
  }
  async function write(text: string): Promise<void> {
    await world.write(id(), text);
    expected += text;
  }
  const isOpen = async () => (await world.ports.cluster.findSession(start.repl.id)) !== undefined;
  const holds = async () => {
    checked.invariants++;
    expect(await world.violations([id()])).toEqual([]);
  };
  /** What the rescued workspace of the session holds. */
  async function rescued(): Promise<string | undefined> {
    const { store } = world.ports;
    const found = await findRescued(store, start.session);
    const [entry] = found ? await readRescued(store, found) : [];
    return entry?.type === "file" ? (await store.getText(entry.key, entry.version))?.text : undefined;
  }
  const reads = async () => expect(await world.read(id())).toBe(expected);

  return {
    run,

    /** From now on attempts run so. */
    attempts: (next: RunAttempt) => void (plain = next),

    /** Whatever a workflow that met a wrong answer has come to: its owner goes on, and finds what they wrote. */
    async findsEverything(workflow: Workflow, outcome: Outcome): Promise<void> {
      await holds();
      if (!(await record())) {
        // Only a deletion, or a create that failed, may leave nothing; and then it leaves nothing at all.
        expect(["createRepl failed", "deleteRepl ended"]).toContain(`${workflow} ${outcome}`);
        expect(await world.tracesOf(id())).toEqual([]);
        return;
      }
      expect(`${workflow} ${outcome}`).not.toBe("deleteRepl ended");
      await reads();
      if (!(await isOpen())) await run("openRepl");
      await reads();
      await write("more,");
      await run("shutdownRepl");
      await holds();
      await reads();
    },

    /** Nothing is lost before the reconciler looks, and it mends the rest when what is left over is old enough. */
    async comeToRest(): Promise<void> {
      if ((await record()) && !isOrphan) await reads();
      for (let look = 0; look < looks; look++) {
        vi.setSystemTime(Date.now() + elevenMinutes / 2);
        await runWorkflow(workflows, "reconcileRepls", {}, plain);
      }
      if (isOrphan) {
        expect(await isOpen()).toBe(false);
        expect(await rescued()).toBe(expected);
        [isOrphan, expected] = [false, ""];
      }
      if (await record()) return;
      // What a late copy has left is taken for a start that was cut short when it is a day old.
      vi.setSystemTime(Date.now() + twentyFiveHours);
      await runWorkflow(workflows, "reconcileRepls", {}, plain);
      await runWorkflow(workflows, "pruneSaves", {}, plain);
    },

    /** What the workflow begins with: no REPL, one that is open, or one that is closed. */
    async prepare(workflow: Workflow): Promise<void> {
      if (workflow === "createRepl") return;
      await run("createRepl");
      await write("precious,");
      if (workflow === "shutdownRepl" || workflow === "deleteRepl") return;
      if (workflow === "reconcileRepls") {
        // A close that was begun and terminated.
        const input = { ...id(), state: "stopping" };
        await plain({ name: "findSession", attempt: 1, runId: "terminated" }, input);
        return;
      }
      if (workflow === "rescueRepl") {
        // Its pod is the only one that has what was written.
        isOrphan = true;
        await world.ports.registry.update(start.repl.owner.id, start.repl.id, (known) => ({
          ...known,
          sessionId: "s-other",
          restored: { sessionId: "s-other", pod: "p" },
        }));
        return;
      }
      await run("shutdownRepl");
      if (workflow !== "pruneSaves") return;
      await run("openRepl");
      await write("more precious,");
      await run("shutdownRepl");
      vi.setSystemTime(Date.now() + 40 * twentyFiveHours);
    },

    /** Going back to a save may have been told to have failed after it was done; from then on it stays as it is. */
    async look(workflow: Workflow, outcome: Outcome): Promise<void> {
      if (workflow === "deleteRepl") expected = "";
      if (workflow !== "restoreRepl") return;
      const content = await world.read(id());
      expect(outcome === "ended" ? [""] : ["", expected]).toContain(content);
      expected = content ?? expected;
    },

    async check(workflow: Workflow, outcome: Outcome): Promise<void> {
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
    async goOn(workflow: Workflow, outcome: Outcome): Promise<void> {
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
