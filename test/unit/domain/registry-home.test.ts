import { describe, expect, it, onTestFinished } from "vitest";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import { openBucket } from "../../../domain/open-bucket.ts";
import { readRegistryHome, registryProblem, type Beginning } from "../../../domain/registry-home.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";
import { startS3Server } from "../../fakes/s3-server.ts";

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

  describe.each<{ sign: string; signs: Beginning }>([
    { sign: "sessions run", signs: { hasSessions: true } },
    { sign: "Postgres has records", signs: { hasSessions: false, hasRecords: true } },
    { sign: "S3_CREATE_BUCKET", signs: { hasSessions: false, mayBegin: false } },
  ])("is none where something says that there was one: $sign", ({ sign, signs }) => {
    it("makes no bucket", async () => {
      const server = await startS3Server();
      onTestFinished(() => server.stop());
      server.loseBucket();
      const opened = openBucket(createS3ObjectStore(server.options), "postgres", signs);
      await expect(opened).rejects.toThrow("is its disk there?");
      expect(server.hasBucket()).toBe(false);
    });

    it("takes no empty one for a new one, until somebody says so, and any other as it is", async () => {
      const { store, allKeys } = newBucket();
      expect(await openBucket(store, "postgres", signs)).toContain(sign);
      expect(allKeys()).toEqual([]);
      await store.putText(objectKey.registryHome, "postgres");
      expect(await openBucket(store, "postgres", signs)).toBeUndefined();
    });
  });

  it("makes a bucket where nothing says that there was one", async () => {
    const server = await startS3Server();
    onTestFinished(() => server.stop());
    server.loseBucket();
    const none = { hasSessions: false, hasRecords: false, mayBegin: true };
    expect(await openBucket(createS3ObjectStore(server.options), "bucket", none)).toBeUndefined();
    expect(server.hasBucket()).toBe(true);
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
