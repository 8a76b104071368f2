import { beforeAll, describe, expect, it } from "vitest";
import type { Registry } from "../../domain/ports.ts";
import { newRecord } from "../fakes/records.ts";

/** What a registry must do, in the bucket and in Postgres alike. */
export function describeRegistry(make: () => Promise<Registry>): void {
  describe("Registry", () => {
    let registry: Registry;
    beforeAll(async () => {
      registry = await make();
    });
    const created = async () => {
      const record = newRecord({ name: `"Ünïcode" 🎉 \\ '; drop table repl; --` });
      await registry.create(record);
      return record;
    };

    it("gives back what it was given, and nothing of what it was not", async () => {
      const record = await created();
      expect(await registry.read(record.owner.id, record.id)).toEqual(record);
      expect(await registry.read("another", record.id)).toBeUndefined();
      expect(await registry.read(record.owner.id, "repl-another")).toBeUndefined();
      await registry.check();
    });

    it("lists the REPLs of one user, and names those of all", async () => {
      const record = await created();
      const second = newRecord({ owner: record.owner });
      await registry.create(second);
      const other = await created();
      const listed = await registry.list(record.owner.id);
      expect(listed).toHaveLength(2);
      expect(listed).toEqual(expect.arrayContaining([record, second]));
      expect(await registry.list("nobody")).toEqual([]);
      expect(await registry.names()).toEqual(
        expect.arrayContaining([record, second, other].map(({ id, owner }) => ({ userId: owner.id, replId: id }))),
      );
    });

    it("takes a create twice, and no other REPL of the same id", async () => {
      const record = await created();
      await registry.update(record.owner.id, record.id, (known) => ({ ...known, sessionId: "s" }));
      await registry.create(record);
      expect(await registry.read(record.owner.id, record.id)).toEqual({ ...record, sessionId: "s" });
      const another = { ...record, createdAt: "2020-01-01T00:00:00.000Z" };
      await expect(registry.create(another)).rejects.toMatchObject({ code: "conflict" });
    });

    it("loses no change of many at once", async () => {
      const record = await created();
      const { id, owner } = record;
      const changes = Array.from({ length: 6 }, () =>
        registry.update(owner.id, id, (known) => {
          const { generation } = known.lastSave ?? { generation: 0 };
          const next = { generation: generation + 1, version: "v", files: 0, bytes: 0, savedAt: record.createdAt };
          return { ...known, lastSave: next };
        }),
      );
      const generations = (await Promise.all(changes)).map(({ lastSave }) => lastSave?.generation ?? 0);
      expect(generations.sort()).toEqual([1, 2, 3, 4, 5, 6]);
      expect((await registry.read(owner.id, id))?.lastSave?.generation).toBe(6);
    });

    it("leaves a record as it is when the change is refused, and says when there is none", async () => {
      const record = await created();
      const refused = registry.update(record.owner.id, record.id, () => {
        throw new Error("not this one");
      });
      await expect(refused).rejects.toThrow("not this one");
      expect(await registry.read(record.owner.id, record.id)).toEqual(record);
      const missing = registry.update(record.owner.id, "repl-missing", (known) => known);
      await expect(missing).rejects.toMatchObject({ code: "not_found" });
    });

    it("forgets what is removed, and takes a removal twice", async () => {
      const record = await created();
      await registry.remove(record.owner.id, record.id);
      await registry.remove(record.owner.id, record.id);
      expect(await registry.read(record.owner.id, record.id)).toBeUndefined();
      expect(await registry.list(record.owner.id)).toEqual([]);
    });

    it("knows of a deletion until it has ended", async () => {
      const { id, owner } = newRecord();
      const deletion = { replId: id, owner };
      expect(await registry.hasDeletion(owner.id, id)).toBe(false);
      await registry.noteDeletion(deletion);
      await registry.noteDeletion(deletion);
      expect(await registry.hasDeletion(owner.id, id)).toBe(true);
      expect(await registry.hasDeletion("another", id)).toBe(false);
      expect((await registry.deletions()).filter(({ replId }) => replId === id)).toEqual([deletion]);
      await registry.endDeletion(owner.id, id);
      await registry.endDeletion(owner.id, id);
      expect(await registry.hasDeletion(owner.id, id)).toBe(false);
    });
  });
}
