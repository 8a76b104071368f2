import { MockActivityEnvironment } from "@temporalio/testing";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createActivities } from "../../activities/index.ts";
import type { PruneResult } from "../../activities/prune-saves.ts";
import { createPostgresRegistry, type PostgresRegistry } from "../../adapters/postgres-registry.ts";
import { moveRegistry } from "../../domain/move-registry.ts";
import { objectKey } from "../../domain/naming.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { registryProblem } from "../../domain/registry-home.ts";
import { createSavePointer } from "../../domain/save-pointer.ts";
import { createFakeObjectStore } from "../fakes/object-store.ts";
import { createFakePorts } from "../fakes/ports.ts";
import { newRecord } from "../fakes/records.ts";
import { startPostgres, type PostgresServer } from "../setup/postgres.ts";
import { describeRegistry } from "./registry.ts";
import { describeSavePointer } from "./save-pointer.ts";

let server: PostgresServer;
let registry: PostgresRegistry;
beforeAll(async () => {
  server = await startPostgres();
  registry = createPostgresRegistry(server.url);
  await registry.migrate();
}, 180_000);
afterAll(async () => {
  await registry.close();
  await server.stop();
});

describe("in Postgres", () => {
  describeRegistry(async () => registry);
  describeSavePointer(async () => ({
    store: createFakeObjectStore().store,
    registry,
    pointerFor: () => createSavePointer(registry),
  }));

  it("is made by several workers that start at once, and again by the next", async () => {
    const workers = [1, 2, 3].map(() => createPostgresRegistry(server.url));
    await Promise.all(workers.map((worker) => worker.migrate()));
    await Promise.all(workers.map((worker) => worker.close()));
  });

  it("says that it does not answer, and goes on when it answers again", async () => {
    const record = newRecord();
    await registry.create(record);
    await server.hang();
    const hanging = [1, 2].map(() => registry.read(record.owner.id, record.id));
    for (const read of hanging) await expect(read).rejects.toMatchObject({ code: "unavailable" });
    await server.goOn();
    expect(await registry.read(record.owner.id, record.id)).toEqual(record);
  });

  it("tells nobody its password", async () => {
    const wrong = createPostgresRegistry(server.url.replace("devex@", "nobody:secret-word@"));
    const failure = (await wrong.check().catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(failure.message).not.toContain("secret-word");
    await wrong.close();
  });

  it("keeps a tombstone for a day and no longer, by what prune does every hour", async () => {
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ["Date"] });
    const own = await emptyRegistry("tombstones");
    onTestFinished(() => own.close());
    const [kept, gone] = [newRecord(), newRecord({ madeBy: "run-1" })];
    await own.create(kept);
    await own.bury({ replId: gone.id, owner: gone.owner, createdAt: gone.createdAt, run: "run-1" });
    const { pruneOldSaves } = createActivities({ ...createFakePorts().ports, registry: own });
    for (const [hours, left] of [
      [1, [kept.id, gone.id]],
      [25, [kept.id]],
    ] as const) {
      vi.setSystemTime(Date.now() + hours * 3_600_000);
      const { failed, repls } = await new MockActivityEnvironment().run<[], PruneResult, typeof pruneOldSaves>(
        pruneOldSaves,
      );
      expect([failed, repls]).toEqual([[], 1]);
      expect((await own.names()).map(({ replId }) => replId).toSorted()).toEqual(left.toSorted());
    }
  });

  describe("the move of a registry", () => {
    it("takes tombstones for no REPLs, and leaves none behind", async () => {
      const { store } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      const own = await emptyRegistry("buried");
      const [record, buried] = [newRecord(), newRecord()];
      await bucket.create(record);
      await own.bury({ replId: buried.id, owner: buried.owner, createdAt: buried.createdAt });
      await moveRegistry({ store, from: bucket, to: own });
      await moveRegistry({ store, from: own, to: bucket });
      expect(await own.names()).toEqual([]);
      expect(await bucket.names()).toEqual([{ userId: record.owner.id, replId: record.id }]);
      await own.close();
    });

    it("brings every record there and back, and the bucket says where they are", async () => {
      const { store } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      const own = await emptyRegistry("there_and_back");
      const records = Array.from({ length: 20 }, (_, index) => newRecord({ name: `Number ${index} ü🎉` }));
      for (const record of records) await bucket.create(record);
      const deleted = newRecord();
      await bucket.noteDeletion({ replId: deleted.id, owner: deleted.owner });
      expect(await registryProblem(store, "postgres")).toContain("npm run registry");

      expect(await moveRegistry({ store, from: bucket, to: own })).toEqual({ records: 20 });
      expect(await bucket.names()).toEqual([]);
      expect(await bucket.deletions()).toEqual([]);
      expect(await own.deletions()).toEqual([{ replId: deleted.id, owner: deleted.owner }]);
      for (const record of records) expect(await own.read(record.owner.id, record.id)).toEqual(record);
      expect(await registryProblem(store, "postgres")).toBeUndefined();
      expect(await registryProblem(store, "bucket")).toContain("set DATABASE_URL");

      await moveRegistry({ store, from: own, to: bucket });
      expect(await own.names()).toEqual([]);
      for (const record of records) expect(await bucket.read(record.owner.id, record.id)).toEqual(record);
      expect(await registryProblem(store, "bucket")).toBeUndefined();
      await own.close();
    });

    it("goes on where an interrupted one left off, whichever moment that was", async () => {
      const own = await emptyRegistry("interrupted");
      const { store, failWhen } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      const records = Array.from({ length: 3 }, () => newRecord());
      for (const record of records) await bucket.create(record);
      const move = () => moveRegistry({ store, from: bucket, to: own });
      let calls = 0;
      for (let last = 1; ; last++) {
        calls = 0;
        failWhen(() => (++calls > last ? new Error("killed") : undefined));
        const isDone = await move().then(
          () => true,
          () => false,
        );
        failWhen(undefined);
        // Nobody may serve a registry that is not whole.
        const home = (await registryProblem(store, "postgres")) === undefined ? own : bucket;
        const found = await Promise.all(records.map(({ owner, id }) => home.read(owner.id, id)));
        expect(found).toEqual(records);
        if (isDone) break;
      }
      expect(calls).toBeGreaterThan(5);
      expect(await bucket.names()).toEqual([]);
      await own.close();
    });

    it("brings along what a worker that nobody had ended made after it, and nothing that was deleted", async () => {
      const { store } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      const own = await emptyRegistry("straggler");
      const lastSave = { generation: 1, version: "v", files: 0, bytes: 0, savedAt: "2026-01-01T00:00:00.000Z" };
      const [first, late, deleted] = [newRecord(), newRecord({ lastSave }), newRecord({ lastSave })];
      const move = () => moveRegistry({ store, from: bucket, to: own });
      await bucket.create(first);
      await move();
      await store.putText(objectKey.save(late.id, 1), "its save");
      for (const record of [late, deleted]) await bucket.create(record);
      await move();
      expect(await own.read(late.owner.id, late.id)).toEqual(late);
      expect(await own.read(deleted.owner.id, deleted.id)).toBeUndefined();
      expect(await own.read(first.owner.id, first.id)).toEqual(first);
      expect(await bucket.names()).toEqual([]);
      await own.close();
    });

    it("moves nothing when a record cannot be read, and names it", async () => {
      const { store } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      const [good, bad] = [newRecord(), newRecord()];
      await bucket.create(good);
      await store.putText(objectKey.record(bad.owner.id, bad.id), "no record");
      const own = await emptyRegistry("unreadable");
      const move = () => moveRegistry({ store, from: bucket, to: own });
      await expect(move()).rejects.toThrow(bad.id);
      expect(await registryProblem(store, "bucket")).toBeUndefined();
      expect(await bucket.read(good.owner.id, good.id)).toEqual(good);
      await bucket.remove(bad.owner.id, bad.id);
      expect(await move()).toEqual({ records: 1 });
      await own.close();
    });

    it("refuses a database that knows other REPLs", async () => {
      const { store } = createFakeObjectStore();
      const bucket = createObjectStoreRegistry(store);
      await bucket.create(newRecord());
      const stranger = newRecord();
      const own = await emptyRegistry("strangers");
      await own.create(stranger);
      await expect(moveRegistry({ store, from: bucket, to: own })).rejects.toThrow(stranger.id);
      expect(await bucket.names()).toHaveLength(1);
      await own.close();
    });
  });
});

async function emptyRegistry(name: string): Promise<PostgresRegistry> {
  const own = createPostgresRegistry(await server.database(name));
  await own.migrate();
  return own;
}
