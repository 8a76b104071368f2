import { describe, expect, it } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import type { ObjectStore } from "../../../domain/ports.ts";
import { missingAbility } from "../../../domain/try-store.ts";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { startS3Server } from "../../fakes/s3-server.ts";

type Lacking = (store: ObjectStore) => Partial<ObjectStore>;

const cannot = async () => {
  throw new ReplError("unavailable", "not implemented");
};
const versions = "keep each version";
const creates = "refuse to create what is there already";
const replaces = "replace only the version that was read";
const checks = "check the SHA-256 of what it is sent";
const checksParts = "check the SHA-256 of objects that come in parts";
const copies = "copy the very version";
const lists = "list what was just stored";
const hides = "hide what is deleted and keep its versions";
const removes = "remove the versions that it is told to";

/** Stores that are whole but for one thing. */
const lacks: readonly (readonly [what: string, ability: string, lacking: Lacking])[] = [
  ["gives every version the same name", versions, (store) => ({ putText: named(store, "same") })],
  ["has no versions", versions, (store) => ({ putText: named(store, "null") })],
  ["reads the newest whatever version is asked for", versions, (store) => ({ getText: (key) => store.getText(key) })],
  [
    "forgets older versions",
    versions,
    (store) => ({ getText: async (key, version) => unlessOld(store, key, version) }),
  ],
  ["ignores If-None-Match", creates, (store) => ({ putText: ignoring(store, "ifNoneMatch") })],
  ["does not take If-None-Match", creates, (store) => ({ putText: refusing(store, "ifNoneMatch") })],
  ["lets all win that create at once", creates, (store) => ({ putText: slowToLook(store, "ifNoneMatch") })],
  ["ignores If-Match", replaces, (store) => ({ putText: ignoring(store, "ifMatch") })],
  ["does not take If-Match", replaces, (store) => ({ putText: refusing(store, "ifMatch") })],
  ["lets all win that replace at once", replaces, (store) => ({ putText: slowToLook(store, "ifMatch") })],
  ["checks no checksum", checks, (store) => ({ putFile: (key) => store.putText(key, "a") })],
  ["has no checksums", checks, () => ({ putFile: cannot })],
  ["says no checksum", checks, (store) => ({ head: async (key) => without(await store.head(key)) })],
  ["takes no parts", checksParts, () => ({ putParts: cannot })],
  ["checks no parts", checksParts, (store) => ({ putParts: (key) => store.putText(key, "a") })],
  ["copies the newest", copies, (store) => ({ copy: (from, to) => store.copy(from, to) })],
  ["lists late", lists, () => ({ list: async () => [] })],
  ["lists no folders", lists, () => ({ folders: async () => [] })],
  ["lists the newest versions", lists, (store) => ({ listVersions: (prefix) => onlyNewest(store, prefix) })],
  ["deletes nothing", hides, () => ({ remove: async () => {} })],
  [
    "deletes for good",
    hides,
    (store) => ({ remove: async (keys) => void (await Promise.all(keys.map((key) => store.purge(key)))) }),
  ],
  ["removes no versions", removes, () => ({ removeVersions: async () => {} })],
  ["removes all versions", removes, (store) => ({ removeVersions: async ([first]) => store.purge(first?.key ?? "") })],
];

describe("the trial of an object store", () => {
  it("finds nothing amiss with one that can all, and leaves nothing in it", async () => {
    const fake = createFakeObjectStore();
    const before = fake.allKeys();
    expect(await missingAbility(fake.store)).toBeUndefined();
    expect(fake.allKeys()).toEqual(before);
  });

  it.each(lacks)("refuses one that %s: it does not %s", async (_, ability, lacking) => {
    const { store, allKeys } = createFakeObjectStore();
    const before = allKeys();
    const lack = await missingAbility({ ...store, ...lacking(store) });
    expect(lack).toContain(`it does not ${ability}`);
    expect(allKeys()).toEqual(before);
  });

  it("takes no outage for a lack", async () => {
    const { store } = createFakeObjectStore();
    let calls = 0;
    const away = { ...store, check: () => (calls++ > 0 ? cannot() : store.check()), putText: cannot };
    await expect(missingAbility(away)).rejects.toMatchObject({ code: "unavailable" });
    expect(calls).toBe(2);
  });

  it("forgives what fails once", async () => {
    const { store } = createFakeObjectStore();
    let calls = 0;
    const putText: ObjectStore["putText"] = (...put) => (calls++ === 0 ? cannot() : store.putText(...put));
    expect(await missingAbility({ ...store, putText })).toBeUndefined();
  });

  it("refuses a server that ignores conditions", async () => {
    const server = await startS3Server();
    try {
      const store = createS3ObjectStore(server.options);
      expect(await missingAbility(store)).toBeUndefined();
      server.ignoreHeader("if-match");
      expect(await missingAbility(store)).toContain(replaces);
      server.ignoreHeader("if-none-match");
      expect(await missingAbility(store)).toContain(creates);
    } finally {
      server.stop();
    }
  });
});

function named(store: ObjectStore, version: string): ObjectStore["putText"] {
  return async (...put) => ({ ...(await store.putText(...put)), version });
}

async function unlessOld(store: ObjectStore, key: string, version?: string) {
  const newest = await store.getText(key);
  return version === undefined || version === newest?.version ? newest : undefined;
}

type Condition = "ifMatch" | "ifNoneMatch";

function ignoring(store: ObjectStore, ignored: Condition): ObjectStore["putText"] {
  return (key, text, condition) => store.putText(key, text, condition && ignored in condition ? undefined : condition);
}

function refusing(store: ObjectStore, refused: Condition): ObjectStore["putText"] {
  return (key, text, condition) => (condition && refused in condition ? cannot() : store.putText(key, text, condition));
}

/** Looks whether the condition holds, and only then writes. */
function slowToLook(store: ObjectStore, slow: Condition): ObjectStore["putText"] {
  return async (key, text, condition) => {
    if (!condition || !(slow in condition)) return store.putText(key, text, condition);
    const found = await store.getText(key);
    const holds = "ifMatch" in condition ? found?.etag === condition.ifMatch : found === undefined;
    if (!holds) throw new ReplError("conflict", `${key} has changed`);
    await new Promise((resolve) => setImmediate(resolve));
    return store.putText(key, text);
  };
}

function without(facts: Awaited<ReturnType<ObjectStore["head"]>>) {
  if (!facts) return undefined;
  const { sha256: _, ...rest } = facts;
  return rest;
}

async function* onlyNewest(store: ObjectStore, prefix: string) {
  for await (const page of store.listVersions(prefix)) yield page.slice(-1);
}
