import { createHash, randomBytes, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";
import { openBucket } from "../../domain/open-bucket.ts";
import { partBytes, type ObjectStore } from "../../domain/ports.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const bytesOf = async (stream: AsyncIterable<Uint8Array> | undefined) => stream && buffer(Readable.from(stream));

/** What every object store must do, the one in memory and the real one alike. */
export function describeObjectStore(makeStore: () => ObjectStore): void {
  describe("ObjectStore", () => {
    let store: ObjectStore;
    const prefix = `contract-${randomUUID()}/`;
    beforeAll(async () => {
      store = makeStore();
      // Twice, because both may be repeated.
      for (let time = 0; time < 2; time++)
        expect(await openBucket(store, "bucket", { hasSessions: false })).toBeUndefined();
    });

    it("reads back what was written, and undefined where nothing is", async () => {
      const { etag, version } = await store.putText(`${prefix}text`, "grün");
      expect(await store.getText(`${prefix}text`)).toEqual({ etag, version, text: "grün" });
      expect(await store.getText(`${prefix}nothing`)).toBeUndefined();
      expect(await store.getText(`${prefix}text`, "no-such-version")).toBeUndefined();
    });

    it("keeps every version readable by its name", async () => {
      const first = await store.putText(`${prefix}versions`, "one");
      const second = await store.putText(`${prefix}versions`, "two");
      expect((await store.getText(`${prefix}versions`, first.version))?.text).toBe("one");
      expect((await store.getText(`${prefix}versions`))?.version).toBe(second.version);
    });

    it("creates only where nothing is, when asked to", async () => {
      await store.putText(`${prefix}once`, "one", { ifNoneMatch: true });
      await expect(store.putText(`${prefix}once`, "two", { ifNoneMatch: true })).rejects.toMatchObject({
        code: "conflict",
      });
      expect((await store.getText(`${prefix}once`))?.text).toBe("one");
    });

    it("replaces only what was read, when asked to", async () => {
      const { etag } = await store.putText(`${prefix}swap`, "one");
      await store.putText(`${prefix}swap`, "two", { ifMatch: etag });
      await expect(store.putText(`${prefix}swap`, "three", { ifMatch: etag })).rejects.toMatchObject({
        code: "conflict",
      });
      expect((await store.getText(`${prefix}swap`))?.text).toBe("two");
      const nothingThere = store.putText(`${prefix}swap-never`, "one", { ifMatch: etag });
      await expect(nothingThere).rejects.toMatchObject({ code: "conflict" });
    });

    it("lets one of many writers of the same version win", async () => {
      const { etag } = await store.putText(`${prefix}race`, "start");
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => store.putText(`${prefix}race`, `writer ${index}`, { ifMatch: etag })),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });

    it("stores files whole and in parts, empty ones too", async () => {
      for (const bytes of [Buffer.alloc(0), Buffer.from([0, 255, 10, 13]), Buffer.alloc(300_000, "x")]) {
        const key = `${prefix}file-${bytes.byteLength}`;
        const { version } = await store.putFile(key, bytes, sha256(bytes));
        expect(await bytesOf(await store.getStream(key, version))).toEqual(bytes);
      }
      const whole = randomBytes(partBytes * 2 + 5);
      const parts = async function* () {
        for (let start = 0; start < whole.byteLength; start += partBytes) {
          const bytes = whole.subarray(start, start + partBytes);
          yield { bytes, sha256: sha256(bytes) };
        }
      };
      const { version } = await store.putParts(`${prefix}parts`, parts());
      expect((await bytesOf(await store.getStream(`${prefix}parts`, version)))?.equals(whole)).toBe(true);
      const facts = await store.head(`${prefix}parts`, version);
      expect(facts).toMatchObject({ version, sizeBytes: whole.byteLength });
      expect([undefined, sha256(whole)]).toContain(facts?.sha256);
    });

    it("keeps nothing of a file whose parts do not all come", async () => {
      const parts = async function* () {
        yield { bytes: Buffer.alloc(partBytes, "x"), sha256: sha256(Buffer.alloc(partBytes, "x")) };
        throw new Error("the disk broke");
      };
      await expect(store.putParts(`${prefix}broken`, parts())).rejects.toThrow("the disk broke");
      expect(await store.getText(`${prefix}broken`)).toBeUndefined();
    });

    it("names versions, and removes those it is told to", async () => {
      const key = `${prefix}named/a b`;
      const first = await store.putText(key, "1");
      const second = await store.putText(key, "2");
      const listed = async () => {
        const all = [];
        for await (const page of store.listVersions(`${prefix}named/`)) all.push(...page);
        return all;
      };
      expect((await listed()).map(({ version }) => version).sort()).toEqual([first.version, second.version].sort());
      expect((await listed())[0]?.modifiedAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
      await store.removeVersions([{ key, version: first.version }]);
      expect((await listed()).map(({ version }) => version)).toEqual([second.version]);
      expect((await store.getText(key))?.text).toBe("2");
    });

    it("reads the beginning of an object alone", async () => {
      await store.putText(`${prefix}long`, "begin, and much more");
      expect(await store.getHead(`${prefix}long`, 5)).toBe("begin");
      expect(await store.getHead(`${prefix}never`, 5)).toBeUndefined();
    });

    it("knows size and checksum of an object without its bytes, and undefined where nothing is", async () => {
      const key = `${prefix}known ü`;
      const [older, newer] = [Buffer.from("older bytes"), Buffer.alloc(0)];
      const first = await store.putFile(key, older, sha256(older));
      const second = await store.putFile(key, newer, sha256(newer));
      expect(await store.head(key, first.version)).toEqual({ ...first, sizeBytes: 11, sha256: sha256(older) });
      expect(await store.head(key)).toEqual({ ...second, sizeBytes: 0, sha256: sha256(newer) });
      await store.remove([key]);
      expect(await store.head(key)).toBeUndefined();
      expect(await store.head(key, first.version)).toMatchObject({ sha256: sha256(older) });
      expect(await store.head(key, "no-such-version")).toBeUndefined();
      expect(await store.head(`${prefix}never`)).toBeUndefined();
    });

    it("holds every key that a path can become", async () => {
      for (const name of [
        "a+b",
        "a b",
        "%41",
        "ü",
        "u\u0308",
        "(x)!*'",
        "a&b=c?d#e",
        "~",
        "emoji 😀",
        "x".repeat(230),
      ]) {
        const bytes = Buffer.from(name);
        const { version } = await store.putFile(`${prefix}names/${name}`, bytes, sha256(bytes));
        expect((await store.getText(`${prefix}names/${name}`, version))?.text, name).toBe(name);
      }
      expect(await store.list(`${prefix}names/`)).toHaveLength(10);
      await store.remove((await store.list(`${prefix}names/`)).reverse());
      expect(await store.list(`${prefix}names/`)).toEqual([]);
    });

    it("refuses bytes that are not what their checksum says", async () => {
      await expect(store.putFile(`${prefix}wrong`, Buffer.from("a"), sha256(Buffer.from("b")))).rejects.toMatchObject({
        code: "unavailable",
      });
      expect(await store.getText(`${prefix}wrong`)).toBeUndefined();
    });

    it("refuses a file of which one part is not what its checksum says, and keeps nothing of it", async () => {
      const [first, last] = [Buffer.alloc(partBytes, "x"), Buffer.from("end")];
      const parts = async function* () {
        yield { bytes: first, sha256: sha256(first) };
        yield { bytes: last, sha256: sha256(first) };
      };
      await expect(store.putParts(`${prefix}wrong-part`, parts())).rejects.toMatchObject({ code: "unavailable" });
      expect(await store.getText(`${prefix}wrong-part`)).toBeUndefined();
    });

    it("copies a file that came in parts", async () => {
      const whole = Buffer.alloc(partBytes + 3, "x");
      const parts = async function* () {
        for (const bytes of [whole.subarray(0, partBytes), whole.subarray(partBytes)])
          yield { bytes, sha256: sha256(bytes) };
      };
      const { version } = await store.putParts(`${prefix}parts to copy`, parts());
      const options = { version, sha256: sha256(whole) };
      const copied = await store.copy(`${prefix}parts to copy`, `${prefix}copy of parts`, options);
      const stream = await store.getStream(`${prefix}copy of parts`, copied.version);
      expect((await bytesOf(stream))?.equals(whole)).toBe(true);
    });

    it("copies, and says so where there is nothing to copy", async () => {
      await store.putText(`${prefix}source ü`, "content");
      const copied = await store.copy(`${prefix}source ü`, `${prefix}target`);
      expect((await store.getText(`${prefix}target`, copied.version))?.text).toBe("content");
      const bytes = Buffer.from("older");
      const older = await store.putFile(`${prefix}source +`, bytes, sha256(bytes));
      await store.putText(`${prefix}source +`, "newer");
      const again = await store.copy(`${prefix}source +`, `${prefix}target`, {
        version: older.version,
        sha256: sha256(bytes),
      });
      expect((await store.getText(`${prefix}target`, again.version))?.text).toBe("older");
      await store.copy(`${prefix}target`, `${prefix}copy of the copy`, { sha256: sha256(bytes) });
      await expect(
        store.copy(`${prefix}target`, `${prefix}other`, { sha256: sha256(Buffer.from("other")) }),
      ).rejects.toMatchObject({ code: "unavailable" });
      await expect(store.copy(`${prefix}missing`, `${prefix}target`)).rejects.toMatchObject({ code: "not_found" });
    });

    it("hides what is removed, and keeps its versions", async () => {
      const { version } = await store.putText(`${prefix}removed`, "still here");
      await store.remove([`${prefix}removed`, `${prefix}never-was`]);
      await store.remove([`${prefix}removed`, `${prefix}removed`]);
      expect(await store.getText(`${prefix}removed`)).toBeUndefined();
      expect(await store.list(`${prefix}removed`)).toEqual([]);
      expect((await store.getText(`${prefix}removed`, version))?.text).toBe("still here");
    });

    it("holds a folder where a file was, or refuses as a conflict and keeps the file's versions", async () => {
      const bytes = Buffer.from("inside");
      const file = await store.putText(`${prefix}either`, "file");
      await store.remove([`${prefix}either`]);
      const outcome = await store
        .putFile(`${prefix}either/inside`, bytes, sha256(bytes))
        .catch((error: { code: string }) => error.code);
      if (outcome !== "conflict") expect((await store.getText(`${prefix}either/inside`))?.text).toBe("inside");
      expect((await store.getText(`${prefix}either`, file.version))?.text).toBe("file");
    });

    it("lists exactly what a prefix covers", async () => {
      for (const name of ["a", "b/c", "b/d e", "b/ü"]) await store.putText(`${prefix}list/${name}`, name);
      await store.putText(`${prefix}list-other`, "no");
      expect((await store.list(`${prefix}list/`)).sort()).toEqual(
        ["a", "b/c", "b/d e", "b/ü"].map((name) => `${prefix}list/${name}`).sort(),
      );
    });

    it("names the folders below a prefix, also when there are more than fit into a page", async () => {
      const names = Array.from({ length: 1100 }, (_, at) => `${prefix}folders/${String(at).padStart(4, "0")}/`);
      for (let at = 0; at < names.length; at += 50)
        await Promise.all(names.slice(at, at + 50).map((name) => store.putText(`${name}deep/file`, "x")));
      await store.putText(`${prefix}folders/file`, "no folder");
      expect(await store.folders(`${prefix}folders/`)).toEqual(names);
      expect(await store.folders(`${prefix}folders/0007/`)).toEqual([`${prefix}folders/0007/deep/`]);
      await store.purge(`${prefix}folders/`);
      expect(await store.folders(`${prefix}folders/`)).toEqual([]);
    });

    it("purges every version below a prefix, and nothing beside it", async () => {
      const first = await store.putText(`${prefix}purge/a`, "1");
      await store.putText(`${prefix}purge/a`, "2");
      await store.remove([`${prefix}purge/a`]);
      await store.putText(`${prefix}purge/deep/b`, "3");
      await store.putText(`${prefix}purge-not`, "stays");
      await store.purge(`${prefix}purge/`);
      await store.purge(`${prefix}purge/`);
      expect(await store.list(`${prefix}purge/`)).toEqual([]);
      expect(await store.getText(`${prefix}purge/a`, first.version)).toBeUndefined();
      expect((await store.getText(`${prefix}purge-not`))?.text).toBe("stays");
    });
  });
}
