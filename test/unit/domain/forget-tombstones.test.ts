import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

it.each(["getText", "listVersions"] as const)(
  "an old tombstone is forgotten, and a record that is created at that moment stays (after %s)",
  async (method) => {
    const { store } = createFakeObjectStore();
    const registry = createObjectStoreRegistry(store);
    const { owner, id } = newRecord();
    await registry.bury({ replId: id, owner, createdAt: "2026-01-01T00:00:00.000Z", run: "undone" });
    vi.setSystemTime(Date.now() + 25 * 3_600_000);
    const created = newRecord({ id, owner });
    let isCreated = false;
    const createOnce = async (key: string) => {
      if (key !== objectKey.record(owner.id, id) || isCreated) return;
      isCreated = true;
      await registry.create(created);
    };
    const meanwhile = createObjectStoreRegistry({
      ...store,
      async getText(key, version) {
        const object = await store.getText(key, version);
        if (method === "getText") await createOnce(key);
        return object;
      },
      async *listVersions(key) {
        yield* store.listVersions(key);
        if (method === "listVersions") await createOnce(key);
      },
    });
    await meanwhile.forgetTombstones(owner.id, id);
    expect(isCreated).toBe(true);
    expect(await registry.read(owner.id, id)).toMatchObject({ createdAt: created.createdAt });
  },
);
