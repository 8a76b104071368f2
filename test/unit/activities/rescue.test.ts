import { MockActivityEnvironment } from "@temporalio/testing";
import { beforeEach, describe, expect, it } from "vitest";
import type { Rescue, SessionInput } from "../../../activities/inputs.ts";
import { createRescueWorkspace } from "../../../activities/rescue-workspace.ts";
import { commitSave } from "../../../domain/commit-save.ts";
import { findRescued, openRescuePlace } from "../../../domain/rescue.ts";
import { createSavePointer } from "../../../domain/save-pointer.ts";
import type { Session } from "../../../domain/repl.ts";
import { newStart } from "../../fakes/records.ts";
import { runAttempt } from "../../faults/gate.ts";
import { createWorld, type World } from "../../faults/world.ts";

const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

describe("rescueWorkspace", () => {
  let world: World;
  beforeEach(async () => {
    world = createWorld();
    await world.publishTemplate();
  });

  /** A session that somebody has worked in and that the registry does not have any more. */
  async function orphan(): Promise<{ session: Session; login: string }> {
    const start = newStart();
    for (const name of ["reserveRepl", "copyTemplate", "applyManifests", "waitUntilReady"] as const)
      await runAttempt(world.activities[name], { name, attempt: 1, runId: "run" }, start).ended;
    await world.write({ replId: start.repl.id, owner: start.repl.owner }, "work that no save has");
    await world.ports.registry.remove(start.repl.owner.id, start.repl.id);
    return { session: start.session, login: start.repl.owner.login };
  }
  const rescue = (session: Session, ports = world.ports) =>
    new MockActivityEnvironment({ startToCloseTimeoutMs: 60_000 }, { logger: silent }).run<
      [SessionInput],
      Rescue,
      (input: SessionInput) => Promise<Rescue>
    >(createRescueWorkspace(ports, 0), { session });

  it("saves what the pod holds aside, once, and removes nothing", async () => {
    const { session } = await orphan();
    expect(await rescue(session)).toMatchObject({ outcome: "rescued", save: { generation: 1, files: 1 } });
    await rescue(session);
    expect(await findRescued(world.ports.store, session)).toMatchObject({ save: { files: 1 } });
    expect(world.pods.size).toBe(1);
    expect(world.told.map(({ event }) => event)).toContainEqual(
      expect.objectContaining({ message: expect.stringContaining("rescued workspaces") as string }),
    );
  });

  it("tells what of it could not be saved, and will go with the pod, however often it is repeated", async () => {
    const { session } = await orphan();
    const first = Array.from({ length: 12 }, (_, at) => ({ path: `locked-${at}`, why: "no", isKept: false }));
    const runInPod = async () => {
      const place = await openRescuePlace(world.ports.store, session);
      const record = await place.pointer.read({ session });
      const details = { writer: { session }, kind: "close", leftOut: [], inMotion: [] } as const;
      const saved =
        record.lastSave ?? (await commitSave(place, record, [], { ...details, notSaved: { count: 12, first } }));
      return { pod: "p", container: "sync-1", exitCode: 0, message: JSON.stringify(saved) };
    };
    const cluster = { ...world.ports.cluster, runInPod };
    for (let time = 1; time <= 2; time++) {
      const outcome = await rescue(session, { ...world.ports, cluster });
      expect(outcome).toMatchObject({ outcome: "rescued", notSaved: { count: 12 } });
      expect(outcome.notSaved?.first.map(({ path }) => path)).toEqual(first.slice(0, 10).map(({ path }) => path));
      expect(world.told.at(-1)?.event).toMatchObject({
        type: "warning",
        message: expect.stringContaining("12 paths cannot be saved. locked-0: no;") as string,
      });
    }
  });

  it("leaves alone who is the writer again, also where that comes out only after the save", async () => {
    const { session } = await orphan();
    const record = { ...newStart().repl, id: session.replId, sessionId: session.id };
    const owner = { id: session.userId, login: "somebody" };
    await world.ports.registry.create({ ...record, owner });
    expect(await rescue(session)).toEqual({ outcome: "writer again" });
    expect(await findRescued(world.ports.store, session)).toBeUndefined();
    let looks = 0;
    const registry = {
      ...world.ports.registry,
      read: async (userId: string, replId: string) =>
        ++looks > 1 ? world.ports.registry.read(userId, replId) : undefined,
    };
    expect(await rescue(session, { ...world.ports, registry })).toEqual({ outcome: "writer again" });
    // Its programs have ended and nobody is let in any more: the reconciler closes it.
    expect(world.pods.get(session.replId)?.note).toEqual({ ending: "stopping" });
  });

  it.each([true, false])(
    "says what an orphan has lost with a pod, also when another one has followed it: %s",
    async (isFollowed) => {
      const start = newStart();
      const { registry } = world.ports;
      await registry.create({ ...start.repl, sessionId: start.session.id });
      const pointer = createSavePointer(registry);
      await pointer.claim(start.session, "first");
      await pointer.filled({ session: start.session, pod: "first" });
      if (isFollowed) await pointer.claim(start.session, "second");
      await registry.update(start.repl.owner.id, start.repl.id, (record) => ({ ...record, sessionId: "of before" }));
      world.machines.show(start.session, { second: isFollowed ? "starting" : "gone" });
      expect(await rescue(start.session)).toEqual({ outcome: "nothing to rescue" });
      expect(world.told.map(({ event }) => event)).toContainEqual(
        expect.objectContaining({ type: "error", message: expect.stringMatching(/lost .* is gone/s) as string }),
      );
    },
  );

  it.each(["ending", "on a node that rebooted"] as const)("waits while its pod is %s", async (state) => {
    const { session } = await orphan();
    world.machines.show(session, { [session.id]: state });
    await expect(rescue(session)).rejects.toMatchObject({ code: "unavailable" });
  });

  it.each(["starting", "refused", "gone"] as const)("finds nothing in a pod that is %s", async (state) => {
    const { session } = await orphan();
    world.machines.show(session, { [session.id]: state });
    expect(await rescue(session)).toEqual({ outcome: "nothing to rescue" });
  });

  it("does not believe at the first look that there is nothing", async () => {
    const { session } = await orphan();
    const { runInPod } = world.ports.cluster;
    let looks = 0;
    const cluster: typeof world.ports.cluster = {
      ...world.ports.cluster,
      runInPod: async (...args) => (looks++ === 0 ? { nothing: "gone", detail: "no pod" } : runInPod(...args)),
    };
    expect(await rescue(session, { ...world.ports, cluster })).toMatchObject({ outcome: "rescued" });
  });

  it.each([
    ["a container that fails", { exitCode: 1, message: '{"error":"the store does not answer"}' }],
    // That of a close, which is refused.
    ["a save that is refused", { exitCode: 3, message: "" }],
    ["a success that left nothing", { exitCode: 0, message: '{"generation":1}' }],
  ])("does not take %s for a rescue", async (_, end) => {
    const { session } = await orphan();
    const runInPod = async () => ({ pod: "p", container: "sync-1", ...end });
    const cluster = { ...world.ports.cluster, runInPod };
    await expect(rescue(session, { ...world.ports, cluster })).rejects.toMatchObject({ code: "unavailable" });
  });
});
