import { MockActivityEnvironment } from "@temporalio/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { createActivities } from "../../../activities/index.ts";
import type { SaveWorkspaceInput } from "../../../activities/inputs.ts";
import type { SaveOutcome } from "../../../activities/save-workspace.ts";
import { lossesOf } from "../../../domain/losses.ts";
import { objectKey } from "../../../domain/naming.ts";
import { replFrom, type Session } from "../../../domain/repl.ts";
import { createManifest, writeSaveManifest } from "../../../domain/save.ts";
import { createSavePointer } from "../../../domain/save-pointer.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newSession, newStart, nodeTemplate } from "../../fakes/records.ts";

/** What is lost is told until its owner can have heard of it, and no loss hides another one. */
describe("a loss", () => {
  let fakes: ReturnType<typeof createFakePorts>;
  let activities: ReturnType<typeof createActivities>;
  let input: ReturnType<typeof newStart>;
  beforeEach(async () => {
    fakes = createFakePorts();
    activities = createActivities(fakes.ports);
    input = newStart();
    const { name, digest } = nodeTemplate;
    const about = { replId: name, generation: 0, parent: 0, sessionId: "template", kind: "template" } as const;
    const empty = createManifest({ ...about, createdAt: "2026-01-01T00:00:00Z", leftOut: [], inMotion: [] }, []);
    await fakes.ports.store.putText(objectKey.templateManifest(name, digest), writeSaveManifest(empty));
    await activities.copyTemplate(input);
  });
  const run = <Input, Result>(activity: (given: Input) => Promise<Result>, given: Input) =>
    new MockActivityEnvironment().run<[Input], Result, typeof activity>(activity, given);
  const record = async () => {
    const found = await fakes.ports.registry.read(input.repl.owner.id, input.repl.id);
    if (!found) throw new Error("the REPL is there");
    return found;
  };
  const pointer = () => createSavePointer(fakes.ports.registry);
  const filled = async (pod: string) => {
    await pointer().claim(input.session, pod);
    await pointer().filled({ session: input.session, pod });
  };
  const closed = (session: Session) =>
    run<SaveWorkspaceInput, SaveOutcome>(activities.saveWorkspace, {
      session,
      replId: input.repl.id,
      owner: input.repl.owner,
    });
  const close = (lost?: string) =>
    run(activities.removeResources, {
      session: input.session,
      after: { generation: 1, ...(lost ? { lost } : {}) },
    });

  it("stays in the record of a closed REPL, which says it again, until a session ends without one", async () => {
    await close("What was written after save 1 is gone.");
    const told = { sessionId: input.session.id, lost: "What was written after save 1 is gone." };
    expect((await record()).lastEnd).toEqual(told);
    expect(replFrom({ record: await record() })).toMatchObject({ status: "stopped", statusReason: told.lost });
    const again = { session: input.session, replId: input.repl.id, owner: input.repl.owner };
    expect(await run(activities.saveWorkspace, again)).toMatchObject({ lost: told.lost });

    const next = newSession(input.repl);
    await run(activities.claimSession, { ...input, repl: await record(), session: next });
    // An open that fails has told nobody.
    await run(activities.removeResources, { session: next, isUndo: true });
    expect((await record()).lastEnd).toEqual(told);
    const last = newSession(input.repl);
    await run(activities.claimSession, { ...input, repl: await record(), session: last });
    input = { ...input, session: last };
    await close();
    expect((await record()).lastEnd).toBeUndefined();
    expect(replFrom({ record: await record() })).not.toHaveProperty("statusReason");
  });

  it("of two pods is told since the first", async () => {
    await filled("first");
    await filled("second");
    const one = lossesOf(await record(), input.session);
    expect(one).toMatch(/^The container was lost at .* save 1\. What was written after that save is gone\.$/);
    const save = { ...((await record()).lastSave as object), generation: 2, version: "v" };
    await pointer().move({ session: input.session, pod: "second" }, 1, save as never);
    await filled("third");
    expect((await record()).lastLoss).toMatchObject({ count: 2, generation: 2, first: { generation: 1 } });
    expect(lossesOf(await record(), input.session)).toMatch(/lost 2 times, first at .* after save 1 and was not/);
  });

  it("of a session that never came to a close is told by the next one", async () => {
    await filled("first");
    await pointer().release({ session: input.session, pod: "first" }, "1 path: one.iso");
    await filled("second");
    await filled("third");
    const next = newSession(input.repl);
    await run(activities.claimSession, { ...input, repl: await record(), session: next });
    // An open that fails closes nothing.
    await run(activities.removeResources, { session: next, isUndo: true });
    const last = newSession(input.repl);
    await run(activities.claimSession, { ...input, repl: await record(), session: last });
    expect((await record()).untold).toMatch(/^The container was lost 2 times, .*one\.iso$/);
    const { lost } = await closed(last);
    expect(lost).toMatch(/^The container was lost 2 times, .*one\.iso$/);
    await run(activities.removeResources, { session: last, after: { generation: 1 } });
    expect(await record()).not.toHaveProperty("untold");
  });

  it("of paths that went with a pod which handed over is told for each of them, and beside others", async () => {
    await filled("first");
    await pointer().release({ session: input.session, pod: "first" }, "1 path: one.iso");
    await filled("second");
    await pointer().release({ session: input.session, pod: "second" }, "1 path: two.iso");
    await filled("third");
    expect(lossesOf(await record(), input.session)).toMatch(/one\.iso; 1 path: two\.iso$/);
    expect((await record()).lastLoss).not.toHaveProperty("first");
    await activities.applyManifests({ ...input, repl: await record() });
    fakes.machines.show(input.session, { fourth: "running" });
    fakes.machines.show(input.session, { third: "gone" });
    const { lost } = await run<SaveWorkspaceInput, SaveOutcome>(activities.saveWorkspace, {
      session: input.session,
      replId: input.repl.id,
      owner: input.repl.owner,
    });
    expect(lost).toMatch(/one\.iso; 1 path: two\.iso .*The container was lost before/);
  });
});
