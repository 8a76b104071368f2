import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Activities } from "../../activities/index.ts";
import type { StartInput } from "../../activities/inputs.ts";
import { workflowIdOf } from "../../domain/naming.ts";
import { newRecord, newSession, newStart } from "../fakes/records.ts";
import { failureOf, useTestServer } from "../workflows/environment.ts";
import { createWorld, faults, stepsOf, type FaultPlan, type World } from "./world.ts";

/** Every activity of every workflow × every fault, with the real activities; afterwards every invariant must hold. */

type Name = keyof Activities;
type Start = Parameters<Parameters<ReturnType<typeof useTestServer>["withWorker"]>[1]>[0];

const { createRepl: stepsOfCreate, openRepl: stepsOfOpen } = stepsOf;
const { shutdownRepl: stepsOfClose, deleteRepl: stepsOfDelete } = stepsOf;
const stepsOfRescue = ["rescueWorkspace", "removeResources", "withdrawSession"] as const;
const stepsOfReconciler = ["reviewSessions", "reviewRemains"] as const;
const undosOfCreate = ["removeResources", "removeNewFiles", "releaseRepl"] as const;
const undosOfOpen = ["removeResources", "releaseSession"] as const;
/** Fewer would not show that a removal is never given up. */
const manyTimes = 6;
/** The last of them are a minute apart. */
const closeTries = 12;
/** A case takes a third of a second; this is for one that is begun again. */
const limitMs = 180_000;

const once =
  (name: Name, fault: (typeof faults)[number]): FaultPlan =>
  (activity, attempt) =>
    activity === name && attempt === 1 ? fault : undefined;
const times =
  (name: Name, fault: (typeof faults)[number], count: number): FaultPlan =>
  (activity, attempt) =>
    activity === name && attempt <= count ? fault : undefined;
const cases = (steps: readonly Name[]) => steps.flatMap((step) => faults.map((fault) => [step, fault] as const));
const forGood = (steps: readonly Name[]) =>
  steps.flatMap((step) => (["before", "after"] as const).map((fault) => [step, fault] as const));

describe("the fault matrix", { timeout: limitMs }, () => {
  const server = useTestServer();
  let world: World;
  beforeAll(async () => {
    world = createWorld();
    await world.publishTemplate();
  });

  const idOf = ({ repl }: StartInput) => ({ replId: repl.id, owner: repl.owner });
  const within = <T>(use: (start: Start) => Promise<T>): Promise<T> => server.withPatience(world.activities, use);
  async function create(start: Start, input = newStart()): Promise<StartInput> {
    await (await start("createRepl", input)).result();
    return input;
  }
  async function close(start: Start, input: StartInput) {
    const record = await world.ports.registry.read(input.repl.owner.id, input.repl.id);
    if (!record?.lastSave) throw new Error("no save");
    return (await start("shutdownRepl", { ...idOf(input), lastSave: record.lastSave })).result();
  }
  async function closed(start: Start, text = "precious"): Promise<StartInput> {
    world.plan(() => undefined);
    const input = await create(start);
    await world.write(idOf(input), text);
    await close(start, input);
    const record = await world.ports.registry.read(input.repl.owner.id, input.repl.id);
    const repl = record ?? newRecord();
    return { ...input, repl, session: newSession(repl) };
  }
  /** A fault that did not strike has proven nothing. */
  const struck = () => expect(world.strikes()).toBeGreaterThan(0);
  const holds = async (input: StartInput) => expect(await world.violations([idOf(input)])).toEqual([]);
  const statusOf = async ({ repl }: StartInput) =>
    (await world.ports.directory.list(repl.owner.id)).find(({ id }) => id === repl.id)?.status;

  /** From its publishing on somebody may be at work in a session: no undo removes it, and the look-ups say again that it runs. */
  async function staysLetIn(start: Start, input: StartInput): Promise<void> {
    expect(await world.ports.cluster.findSession(input.repl.id)).toEqual(input.session);
    await (await start("reconcileRepls", {}, `reconcile/${input.repl.id}`)).result();
    expect(await statusOf(input)).toBe("running");
    await holds(input);
  }

  it.each(cases(stepsOfCreate))("a create goes on when %s fails %s its effect, or runs so", async (step, fault) => {
    await within(async (start) => {
      world.plan(once(step, fault));
      const input = await create(start);
      struck();
      expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["running", ""]);
      await holds(input);
    });
  });

  it.each(forGood(stepsOfCreate))(
    "a create leaves no trace when %s fails for good, %s its effect",
    async (step, fault) => {
      await within(async (start) => {
        const input = newStart();
        world.plan((activity) => (activity === step ? fault : undefined));
        expect(await failureOf((await start("createRepl", input)).result())).toMatchObject({ type: "unavailable" });
        struck();
        world.plan(() => undefined);
        if (step === "publishSession" && fault === "after") return staysLetIn(start, input);
        expect(await world.tracesOf(idOf(input))).toEqual([]);
      });
    },
  );

  it.each(undosOfCreate)("a create that fails is undone although %s fails again and again", async (undo) => {
    await within(async (start) => {
      const input = newStart();
      const undoing = times(undo, "after", manyTimes);
      world.plan((activity, attempt) => (activity === "publishSession" ? "before" : undoing(activity, attempt)));
      expect(await failureOf((await start("createRepl", input)).result())).toMatchObject({ type: "unavailable" });
      expect(world.attemptsOf(undo)).toBe(manyTimes + 1);
      expect(await world.tracesOf(idOf(input))).toEqual([]);
    });
  });

  it.each(cases(stepsOfOpen))(
    "an open finds every byte when %s fails %s its effect, or runs so",
    async (step, fault) => {
      await within(async (start) => {
        const input = await closed(start);
        world.plan(once(step, fault));
        await (await start("openRepl", input)).result();
        struck();
        expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["running", "precious"]);
        await holds(input);
      });
    },
  );

  it.each(forGood(stepsOfOpen))(
    "an open that fails for good at %s, %s its effect, loses nothing",
    async (step, fault) => {
      await within(async (start) => {
        const input = await closed(start);
        world.plan((activity) => (activity === step ? fault : undefined));
        expect(await failureOf((await start("openRepl", input)).result())).toMatchObject({ type: "unavailable" });
        struck();
        world.plan(() => undefined);
        // From its filling on an earlier ticket leads into it.
        if (step === "publishSession" || (step === "waitUntilReady" && fault === "after"))
          return staysLetIn(start, input);
        expect(await world.ports.cluster.findSession(input.repl.id)).toBeUndefined();
        await holds(input);
        const again = { ...input, session: newSession(input.repl) };
        await (await start("openRepl", again)).result();
        expect(await world.read(idOf(input))).toBe("precious");
      });
    },
  );

  /** A session whose close has ended its programs and saved, and will not go on. */
  async function leftHalfClosed(start: Start): Promise<StartInput> {
    world.plan(() => undefined);
    const input = await create(start);
    await world.write(idOf(input), "written first");
    world.plan((activity) => (activity === "saveWorkspace" ? "after" : undefined));
    const { repl } = input;
    const lastSave = (await world.ports.registry.read(repl.owner.id, repl.id))?.lastSave;
    if (!lastSave) throw new Error("no save");
    const begun = await start("shutdownRepl", { ...idOf(input), lastSave }, workflowIdOf(repl.id));
    await vi.waitFor(() => expect(world.attemptsOf("saveWorkspace")).toBeGreaterThan(0), { timeout: limitMs });
    await begun.terminate("a slip of an operator's hand");
    struck();
    world.plan(() => undefined);
    await expect(world.write(idOf(input), "while it is closed")).rejects.toThrow();
    return { ...input, session: newSession(repl) };
  }

  it.each(cases(["reopenSession"]))(
    "an open takes back a close when %s fails %s its effect, or runs so",
    async (step, fault) => {
      await within(async (start) => {
        const input = await leftHalfClosed(start);
        world.plan(once(step, fault));
        await (await start("openRepl", input)).result();
        struck();
        await world.write(idOf(input), ", and more");
        await close(start, input);
        expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "written first, and more"]);
        await holds(input);
      });
    },
  );

  it.each(forGood(["reopenSession"]))(
    "an open that cannot take back a close, for %s fails for good %s its effect, loses nothing",
    async (step, fault) => {
      await within(async (start) => {
        const input = await leftHalfClosed(start);
        world.plan((activity) => (activity === step ? fault : undefined));
        expect(await failureOf((await start("openRepl", input)).result())).toMatchObject({ type: "unavailable" });
        struck();
        world.plan(() => undefined);
        await close(start, input);
        expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "written first"]);
        await holds(input);
      });
    },
  );

  it.each(undosOfOpen)("an open that fails is undone although %s fails again and again", async (undo) => {
    await within(async (start) => {
      const input = await closed(start);
      const undoing = times(undo, "before", manyTimes);
      world.plan((activity, attempt) => (activity === "waitUntilReady" ? "before" : undoing(activity, attempt)));
      expect(await failureOf((await start("openRepl", input)).result())).toMatchObject({ type: "unavailable" });
      expect(world.attemptsOf(undo)).toBe(manyTimes + 1);
      expect(await world.ports.cluster.findSession(input.repl.id)).toBeUndefined();
      await holds(input);
    });
  });

  it.each(cases(stepsOfClose))("a close saves all when %s fails %s its effect, or runs so", async (step, fault) => {
    await within(async (start) => {
      world.plan(() => undefined);
      const input = await create(start);
      await world.write(idOf(input), "written last");
      world.plan(once(step, fault));
      const { save } = await close(start, input);
      struck();
      expect(save).toMatchObject({ generation: 2, files: 1 });
      expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "written last"]);
      expect(await world.ports.cluster.findSession(input.repl.id)).toBeUndefined();
      await holds(input);
    });
  });

  it.each(forGood(stepsOfClose))(
    "a close goes on although %s fails again and again, %s its effect",
    async (step, fault) => {
      await within(async (start) => {
        world.plan(() => undefined);
        const input = await create(start);
        await world.write(idOf(input), "written last");
        world.plan(times(step, fault, manyTimes));
        await close(start, input);
        expect(world.attemptsOf(step)).toBe(manyTimes + 1);
        expect(await world.read(idOf(input))).toBe("written last");
        await holds(input);
      });
    },
  );

  it("a close keeps the pod for as long as nothing can be saved", async () => {
    await within(async (start) => {
      world.plan(() => undefined);
      const input = await create(start);
      await world.write(idOf(input), "only here");
      let isAway = true;
      const pods: (string | undefined)[] = [];
      world.plan((activity, attempt) => {
        if (activity !== "saveWorkspace") return undefined;
        pods.push(world.pods.get(input.repl.id)?.session.id);
        isAway = attempt < closeTries;
        return isAway ? "before" : undefined;
      });
      await close(start, input);
      expect(pods).toEqual(Array.from({ length: closeTries }, () => input.session.id));
      expect(await world.read(idOf(input))).toBe("only here");
    });
  });

  it.each(cases(stepsOfDelete))(
    "a deletion leaves nothing when %s fails %s its effect, or runs so",
    async (step, fault) => {
      await within(async (start) => {
        world.plan(() => undefined);
        const input = await create(start);
        world.plan(once(step, fault));
        await (await start("deleteRepl", idOf(input))).result();
        struck();
        expect(await world.tracesOf(idOf(input))).toEqual([]);
      });
    },
  );

  it.each(faults)("going back to a save is done when restoreSave fails %s its effect, or runs so", async (fault) => {
    await within(async (start) => {
      const input = await closed(start);
      world.plan(once("restoreSave", fault));
      await (await start("restoreRepl", { ...idOf(input), sessionId: input.session.id, generation: 1 })).result();
      struck();
      expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", ""]);
      await holds(input);
    });
  });

  it.each(["before", "after"] as const)(
    "going back that fails for good, %s its effect, is done or not",
    async (fault) => {
      await within(async (start) => {
        const input = await closed(start);
        world.plan((activity) => (activity === "restoreSave" ? fault : undefined));
        const going = { ...idOf(input), sessionId: input.session.id, generation: 1 };
        expect(await failureOf((await start("restoreRepl", going)).result())).toMatchObject({ type: "unavailable" });
        struck();
        world.plan(() => undefined);
        expect(await world.read(idOf(input))).toBe(fault === "before" ? "precious" : "");
        await holds(input);
        await (await start("openRepl", { ...input, session: newSession(input.repl) })).result();
        expect(await statusOf(input)).toBe("running");
      });
    },
  );

  it.each(cases(stepsOfRescue))(
    "an orphan is saved aside when %s fails %s its effect, or runs so",
    async (step, fault) => {
      await within(async (start) => {
        world.plan(() => undefined);
        const input = await create(start);
        await world.write(idOf(input), "of an orphan");
        const { owner, id } = input.repl;
        await world.ports.registry.update(owner.id, id, (record) => ({ ...record, sessionId: "of before" }));
        world.plan(once(step, fault));
        await (await start("rescueRepl", { session: input.session, reason: "a test" })).result();
        struck();
        expect(await world.ports.cluster.findSession(id)).toBeUndefined();
        expect(await world.rescuedTexts(owner.id, id)).toEqual(["of an orphan"]);
        await holds(input);
      });
    },
  );

  it.each(cases(stepsOfReconciler))(
    "the reconciler goes on when %s fails %s its effect, or runs so",
    async (step, fault) => {
      await within(async (start) => {
        world.plan(() => undefined);
        const input = await create(start);
        await world.write(idOf(input), "written last");
        world.flush();
        await world.ports.cluster.note(input.session, { ending: "stopping" });
        world.plan(once(step, fault));
        await (await start("reconcileRepls", {}, `reconcile/${input.repl.id}`)).result();
        struck();
        await server.client().workflow.getHandle(workflowIdOf(input.repl.id)).result();
        expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "written last"]);
        await holds(input);
      });
    },
  );

  it.each(faults)("pruning removes nothing that is needed when it fails %s its effect, or runs so", async (fault) => {
    await within(async (start) => {
      const input = await closed(start);
      world.plan(once("pruneOldSaves", fault));
      await (await start("pruneSaves", {} as never)).result();
      struck();
      expect(await world.read(idOf(input))).toBe("precious");
      await holds(input);
    });
  });

  it.each([
    ...stepsOfCreate.map((step) => ["createRepl", step] as const),
    ...stepsOfOpen.map((step) => ["openRepl", step] as const),
  ])("what a %s has begun that is terminated beside %s is brought to rest", async (type, step) => {
    await within(async (start) => {
      world.plan(() => undefined);
      const isCreate = type === "createRepl";
      const input = isCreate ? newStart() : await closed(start);
      world.plan((activity) => (activity === step ? "after" : undefined));
      const begun = await start(type, input, workflowIdOf(input.repl.id));
      await vi.waitFor(() => expect(world.attemptsOf(step)).toBeGreaterThan(0), { timeout: limitMs });
      await begun.terminate("a slip of an operator's hand");
      struck();
      world.plan(() => undefined);
      world.flush();
      await (await start("reconcileRepls", {}, `reconcile/${input.repl.id}`)).result();
      await holds(input);
      // Nothing undoes what was terminated: its owner goes on with what there is, or removes it.
      if (isCreate && step === "reserveRepl") return expect(await world.tracesOf(idOf(input))).toEqual([]);
      await (await start("openRepl", { ...input, session: newSession(input.repl) })).result();
      expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["running", isCreate ? "" : "precious"]);
      await (await start("deleteRepl", idOf(input))).result();
      expect(await world.tracesOf(idOf(input))).toEqual([]);
    });
  });

  it.each([
    ...stepsOfClose.map((step) => ["shutdownRepl", step] as const),
    ...stepsOfDelete.map((step) => ["deleteRepl", step] as const),
  ])("a %s that is terminated beside %s is ended by the reconciler", async (type, step) => {
    await within(async (start) => {
      world.plan(() => undefined);
      const input = await create(start);
      await world.write(idOf(input), "written last");
      const record = await world.ports.registry.read(input.repl.owner.id, input.repl.id);
      world.plan((activity) => (activity === step ? "after" : undefined));
      const id = workflowIdOf(input.repl.id);
      const begun = await start(type, { ...idOf(input), lastSave: record?.lastSave }, id);
      await vi.waitFor(() => expect(world.attemptsOf(step)).toBeGreaterThan(0), { timeout: limitMs });
      await begun.terminate("a slip of an operator's hand");
      struck();
      world.plan(() => undefined);
      world.flush();
      const { started } = await (await start("reconcileRepls", {}, `reconcile/${id}`)).result();
      if (started > 0) await server.client().workflow.getHandle(id).result();
      if (type === "deleteRepl") return expect(await world.tracesOf(idOf(input))).toEqual([]);
      expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "written last"]);
      await holds(input);
    });
  });

  it.each([...stepsOfCreate, ...stepsOfOpen, ...stepsOfClose, ...stepsOfDelete].map((step, at) => [at, step] as const))(
    "nothing is lost when Redis is flushed beside step %i, %s",
    async (at, step) => {
      await within(async (start) => {
        let flushes = 0;
        const flushing: FaultPlan = (activity) => {
          if (activity !== step) return undefined;
          world.flush();
          flushes++;
          return undefined;
        };
        const flushed = () => expect(flushes).toBeGreaterThan(0);
        const [createEnd, openEnd, closeEnd] = [
          stepsOfCreate.length,
          stepsOfCreate.length + stepsOfOpen.length,
          stepsOfCreate.length + stepsOfOpen.length + stepsOfClose.length,
        ];
        if (at < createEnd) {
          world.plan(flushing);
          const input = await create(start);
          flushed();
          expect(await statusOf(input)).toBe("running");
          return holds(input);
        }
        const input = await closed(start);
        world.plan(at < openEnd ? flushing : () => undefined);
        await (await start("openRepl", input)).result();
        expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["running", "precious"]);
        if (at < openEnd) return holds(input).then(flushed);
        world.plan(flushing);
        if (at < closeEnd) {
          await close(start, input);
          flushed();
          expect([await statusOf(input), await world.read(idOf(input))]).toEqual(["stopped", "precious"]);
          return holds(input);
        }
        await (await start("deleteRepl", idOf(input))).result();
        flushed();
        expect(await world.tracesOf(idOf(input))).toEqual([]);
      });
    },
  );
});
