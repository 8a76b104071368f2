import { beforeAll, describe, expect, it } from "vitest";
import type { Registry } from "../../domain/ports.ts";
import type { ReplRecord } from "../../domain/repl.ts";
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

    describe("a record that was buried", () => {
      const burialOf = ({ id, owner, createdAt }: ReplRecord) => ({ replId: id, owner, createdAt });

      it("is gone, and its burial may be repeated", async () => {
        const record = await created();
        expect(await registry.bury(burialOf(record))).toBe(true);
        expect(await registry.bury(burialOf(record))).toBe(true);
        expect(await registry.read(record.owner.id, record.id)).toBeUndefined();
        expect(await registry.list(record.owner.id)).toEqual([]);
        const missing = registry.update(record.owner.id, record.id, (known) => known);
        await expect(missing).rejects.toMatchObject({ code: "not_found" });
      });

      it("is named as long as its tombstone is there, also where it never came to be, for whoever forgets those", async () => {
        const [record, late] = [await created(), newRecord({ madeBy: "run-1" })];
        await registry.bury(burialOf(record));
        await registry.bury({ ...burialOf(late), run: "run-1" });
        for (const { id, owner } of [record, late]) {
          expect(await registry.names()).toContainEqual({ userId: owner.id, replId: id });
          expect(await registry.read(owner.id, id)).toBeUndefined();
        }
      });

      it("is not created by a late attempt, also where it never came to be", async () => {
        const late = newRecord({ madeBy: "run-1" });
        await registry.bury({ ...burialOf(late), run: "run-1" });
        await expect(registry.create(late)).rejects.toMatchObject({ code: "conflict" });
        expect(await registry.read(late.owner.id, late.id)).toBeUndefined();
      });

      it("may be created by another run of the same workflow, or as another REPL of the same id", async () => {
        const undone = newRecord({ madeBy: "run-1" });
        await registry.bury({ ...burialOf(undone), run: "run-1" });
        const again = { ...undone, madeBy: "run-2" };
        await registry.create(again);
        expect(await registry.read(undone.owner.id, undone.id)).toEqual(again);
        await registry.bury({ ...burialOf(again), run: "run-2" });
        // Both runs stay undone.
        for (const record of [undone, again])
          await expect(registry.create(record)).rejects.toMatchObject({ code: "conflict" });
        const other = newRecord({ id: undone.id, owner: undone.owner, createdAt: "2030-01-01T00:00:00.000Z" });
        await registry.create(other);
        expect(await registry.read(undone.owner.id, undone.id)).toEqual(other);
      });

      it("is created by no run any more when it was deleted", async () => {
        const record = newRecord({ madeBy: "run-1" });
        await registry.create(record);
        await registry.bury(burialOf(record));
        // An undo that comes late takes nothing back of that.
        await registry.bury({ ...burialOf(record), run: "run-1" });
        for (const madeBy of ["run-1", "run-2"])
          await expect(registry.create({ ...record, madeBy })).rejects.toMatchObject({ code: "conflict" });
      });

      it("is never another REPL's, and never one that must not be buried", async () => {
        const record = await created();
        expect(await registry.bury({ ...burialOf(record), createdAt: "2020-01-01T00:00:00.000Z" })).toBe(false);
        expect(await registry.bury(burialOf(record), () => false)).toBe(false);
        expect(await registry.read(record.owner.id, record.id)).toEqual(record);
      });

      it("leaves a tombstone that is not forgotten on the same day, and never a record instead of it", async () => {
        const record = newRecord({ madeBy: "run-1" });
        await registry.bury({ ...burialOf(record), run: "run-1" });
        await registry.forgetTombstones(record.owner.id, record.id);
        await expect(registry.create(record)).rejects.toMatchObject({ code: "conflict" });
        const living = await created();
        await registry.forgetTombstones(living.owner.id, living.id);
        expect(await registry.read(living.owner.id, living.id)).toEqual(living);
      });

      it("of two at once, a create and its burial, ends as one of them", async () => {
        for (let round = 0; round < 5; round++) {
          const record = newRecord({ madeBy: "run-1" });
          const [made, buried] = await Promise.allSettled([
            registry.create(record),
            registry.bury({ ...burialOf(record), run: "run-1" }),
          ]);
          expect(buried.status).toBe("fulfilled");
          // Whether it came first and was removed, or came second and was refused.
          expect(["fulfilled", "rejected"]).toContain(made.status);
          expect(await registry.read(record.owner.id, record.id)).toBeUndefined();
        }
      });
    });

    it("forgets what is removed, and takes a removal twice", async () => {
      const record = await created();
      await registry.remove(record.owner.id, record.id);
      await registry.remove(record.owner.id, record.id);
      expect(await registry.read(record.owner.id, record.id)).toBeUndefined();
      expect(await registry.list(record.owner.id)).toEqual([]);
    });

    it("knows of a deletion until it has ended", async () => {
      const { id, owner, createdAt } = newRecord();
      const deletion = { replId: id, owner, createdAt };
      expect(await registry.findDeletion(owner.id, id)).toBeUndefined();
      await registry.noteDeletion(deletion);
      await registry.noteDeletion({ replId: id, owner });
      expect(await registry.findDeletion(owner.id, id)).toEqual(deletion);
      expect(await registry.findDeletion("another", id)).toBeUndefined();
      expect((await registry.deletions()).filter(({ replId }) => replId === id)).toEqual([deletion]);
      await registry.endDeletion(owner.id, id);
      await registry.endDeletion(owner.id, id);
      expect(await registry.findDeletion(owner.id, id)).toBeUndefined();
    });
  });
}
