import { beforeEach, describe, expect, it } from "vitest";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { createSavePointer, noteGone } from "../../../domain/save-pointer.ts";
import { claimFiles } from "../../../sync/claim.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord, newSession } from "../../fakes/records.ts";

describe("a pod that takes the place of another", () => {
  const record = newRecord();
  const session = newSession(record);
  const patient = { handOverMs: 60_000, pauseMs: 1 };
  let registry: ReturnType<typeof createObjectStoreRegistry>;
  let pointer: ReturnType<typeof createSavePointer>;
  let looks: PromiseWithResolvers<void>;

  /** Answers when it has been held up at least once. */
  function claimSecond(limits = patient) {
    const watched = {
      claim: pointer.claim,
      async claimWhenFree(...of: Parameters<typeof pointer.claimWhenFree>) {
        const answer = await pointer.claimWhenFree(...of);
        if ("heldBy" in answer) looks.resolve();
        return answer;
      },
    };
    return claimFiles(watched, session, "second", limits);
  }
  const current = () => registry.read(record.owner.id, record.id);

  beforeEach(async () => {
    registry = createObjectStoreRegistry(createFakeObjectStore().store);
    pointer = createSavePointer(registry);
    looks = Promise.withResolvers();
    await registry.create({ ...record, sessionId: session.id });
    await claimFiles(pointer, session, "first", patient);
    await pointer.filled({ session, pod: "first" });
  });

  it("waits until that one has made its last checkpoint, and begins with it", async () => {
    const claim = claimSecond();
    await looks.promise;
    const save = { generation: 1, version: "v", files: 1, bytes: 1, savedAt: "2026-01-01T00:00:00.000Z" };
    await pointer.move({ session, pod: "first" }, 0, save);
    await pointer.release({ session, pod: "first" });
    expect(await claim).toMatchObject({ lastSave: save });
    expect(await current()).toMatchObject({ restored: { pod: "second" } });
    expect((await current())?.lastLoss).toBeUndefined();
  });

  it("begins when that one is gone", async () => {
    const claim = claimSecond();
    await looks.promise;
    await noteGone(registry, session, "first");
    await claim;
    expect(await current()).toMatchObject({ restored: { pod: "second" }, lastLoss: { count: 1 } });
  });

  it("begins by force when that one neither releases its files nor goes", async () => {
    await claimSecond({ handOverMs: 20, pauseMs: 1 });
    await looks.promise;
    expect(await current()).toMatchObject({ restored: { pod: "second" }, lastLoss: { count: 1 } });
  });

  it("gives up as soon as another session is the writer", async () => {
    const claim = claimSecond();
    await looks.promise;
    await registry.update(record.owner.id, record.id, (known) => ({ ...known, sessionId: "next" }));
    await expect(claim).rejects.toMatchObject({ code: "conflict" });
  });
});
