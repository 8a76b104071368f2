import { describe, expect, it } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import { openBucket } from "../../../domain/open-bucket.ts";
import { readRegistryHome, registryProblem } from "../../../domain/registry-home.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";

describe("the beginning of a bucket", () => {
  const newBucket = () => createFakeObjectStore({ isNew: true });

  it("gives a new one its sentinel, and only then believes that it is empty", async () => {
    const { store } = newBucket();
    await expect(store.list("user/")).rejects.toMatchObject({ code: "unavailable" });
    expect(await openBucket(store, "postgres", { hasSessions: false })).toBeUndefined();
    expect(await readRegistryHome(store)).toBe("postgres");
    expect(await store.list("user/")).toEqual([]);
    expect(await openBucket(store, "bucket", { hasSessions: true })).toContain("set DATABASE_URL");
  });

  it("refuses an empty one while sessions run, and changes nothing in it", async () => {
    const { store, allKeys } = newBucket();
    expect(await openBucket(store, "bucket", { hasSessions: true })).toContain("is it the right bucket");
    expect(allKeys()).toEqual([]);
    // As the sentence says.
    await store.putText(objectKey.registryHome, "bucket\n");
    expect(await openBucket(store, "bucket", { hasSessions: true })).toBeUndefined();
  });

  it("knows one of a release that noted nothing by its records", async () => {
    const { store } = newBucket();
    await createObjectStoreRecords(store).create(newRecord());
    expect(await openBucket(store, "postgres", { hasSessions: true })).toContain("leave DATABASE_URL out");
    expect(await readRegistryHome(store)).toBeUndefined();
    expect(await openBucket(store, "bucket", { hasSessions: true })).toBeUndefined();
    expect(await readRegistryHome(store)).toBe("bucket");
  });

  it("is a worker's: whoever else asks before waits for it", async () => {
    const { store, allKeys } = newBucket();
    await expect(registryProblem(store, "bucket")).rejects.toMatchObject({ code: "unavailable" });
    expect(allKeys()).toEqual([]);
    await openBucket(store, "bucket", { hasSessions: false });
    expect(await registryProblem(store, "bucket")).toBeUndefined();
  });
});
