import { MockActivityEnvironment } from "@temporalio/testing";
import { describe, expect, it } from "vitest";
import { createActivities } from "../../../activities/index.ts";
import { ReplError } from "../../../domain/errors.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import type { ReplDirectory } from "../../../domain/ports.ts";
import { createSavePointer } from "../../../domain/save-pointer.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newStart } from "../../fakes/records.ts";

/** What is removed in part is found again by the reconciler, or it stays in its owner's list and quota for good. */

const run = <Input, Result>(activity: (input: Input) => Promise<Result>, input: Input) =>
  new MockActivityEnvironment({ attempt: 1 }).run<[Input], Result, typeof activity>(activity, input);
const away = () => Promise.reject(new ReplError("unavailable", "the attempt has ended"));

/** Look-ups that an attempt reaches for so many changes. */
function reachedFor(directory: ReplDirectory, calls: number): ReplDirectory {
  let left = calls;
  return {
    ...directory,
    withdraw: (...given) => (left-- > 0 ? directory.withdraw(...given) : away()),
    forget: (...given) => (left-- > 0 ? directory.forget(...given) : away()),
  };
}

describe("a REPL that is gone", () => {
  it("is being deleted until the look-ups have forgotten it", async () => {
    const fakes = createFakePorts();
    const { registry, directory } = fakes.ports;
    const activities = createActivities(fakes.ports);
    const { repl } = newStart();
    await registry.create(repl);
    expect(await directory.list(repl.owner.id)).toHaveLength(1);
    const target = { replId: repl.id, owner: repl.owner, createdAt: repl.createdAt };
    await run(activities.findSession, { ...target, state: "deleting" as const });
    await run(activities.removeFiles, target);
    expect((await run(activities.reviewRemains, {})).ends).toMatchObject([{ workflow: "delete", replId: repl.id }]);
    await run(activities.forgetRepl, target);
    expect((await run(activities.reviewRemains, {})).ends).toBeUndefined();
    expect(await directory.list(repl.owner.id)).toEqual([]);
  });

  it("is another one than that of its id which is being deleted now", async () => {
    const fakes = createFakePorts();
    const { registry } = fakes.ports;
    const { repl } = newStart();
    await registry.create(repl);
    const target = { replId: repl.id, owner: repl.owner };
    await registry.noteDeletion({ ...target, createdAt: repl.createdAt });
    await run(createActivities(fakes.ports).forgetRepl, { ...target, createdAt: "2026-01-01T00:00:00.000Z" });
    expect(await registry.findDeletion(repl.owner.id, repl.id)).toMatchObject({ createdAt: repl.createdAt });
  });

  it.each(["releaseRepl", "withdrawSession"] as const)(
    "is not listed without a session, whenever an attempt of %s ends",
    async (name) => {
      for (const calls of [0, 1, 2]) {
        const fakes = createFakePorts();
        const { directory, limits } = fakes.ports;
        const start = newStart();
        await directory.reserve(start.repl, start.session, limits, "creating");
        const activities = createActivities({ ...fakes.ports, directory: reachedFor(directory, calls) });
        await run<never, void>(activities[name], { ...start, failure: "" } as never).catch(() => {});
        const listed = await directory.list(start.repl.owner.id);
        const marked = await directory.activeSession(start.repl.owner.id, start.repl.id);
        expect(listed.length, `after ${calls} calls`).toBe(marked ? 1 : 0);
      }
    },
  );

  it("is no session that has handed its files over to the next pod, whatever the cluster shows", async () => {
    const fakes = createFakePorts();
    const { registry } = fakes.ports;
    const { repl, session } = newStart();
    await registry.create({ ...repl, sessionId: session.id });
    const pointer = createSavePointer(registry);
    await pointer.claim(session, "first");
    await pointer.release({ session, pod: "first" });
    const target = { replId: repl.id, owner: repl.owner, state: "stopping" as const };
    expect(await run(createActivities(fakes.ports).findSession, target)).toEqual(session);
  });

  it("is not taken for one whose deletion is over by a bucket that shows nothing", async () => {
    const { repl } = newStart();
    const registry = createObjectStoreRegistry(createFakeObjectStore({ isNew: true }).store);
    await expect(registry.findDeletion(repl.owner.id, repl.id)).rejects.toMatchObject({ code: "unavailable" });
  });
});
