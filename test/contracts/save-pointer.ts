import { beforeAll, describe, expect, it } from "vitest";
import { commitSave, type SavePlace } from "../../domain/commit-save.ts";
import type { FileStore, Registry, SavePointer } from "../../domain/ports.ts";
import type { Session } from "../../domain/repl.ts";
import { noteGone } from "../../domain/save-pointer.ts";
import { newRecord, newSession } from "../fakes/records.ts";

export interface PointerUnderTest {
  readonly store: FileStore;
  readonly registry: Registry;
  /** As the sync containers of this session have it. */
  pointerFor(session: Session): SavePointer;
}

/** What the pointer to the newest save must do, where the pod moves it itself and where the API does. */
export function describeSavePointer(make: () => Promise<PointerUnderTest>): void {
  describe("SavePointer", () => {
    let under: PointerUnderTest;
    beforeAll(async () => {
      under = await make();
    });

    /** A REPL whose writer is a session that has restored in the pod "first". */
    async function open() {
      const record = newRecord();
      const session = newSession(record);
      await under.registry.create({ ...record, sessionId: session.id });
      const pointer = under.pointerFor(session);
      const place: SavePlace = { store: under.store, pointer };
      await pointer.claim(session, "first");
      const writer = { session, pod: "first" };
      await pointer.filled(writer);
      const commit = async (by: typeof writer = writer) =>
        commitSave(place, await pointer.read(by), [], {
          writer: by,
          kind: "checkpoint",
          leftOut: [],
          inMotion: [],
        });
      const current = () => under.registry.read(record.owner.id, record.id);
      return { record, session, pointer, place, writer, commit, current };
    }

    it("moves from save to save", async () => {
      const { record, commit, pointer, writer, current } = await open();
      expect(await pointer.read(writer)).toMatchObject({ id: record.id, owner: record.owner });
      expect(await commit()).toMatchObject({ generation: 1 });
      const second = await commit();
      expect(second).toMatchObject({ generation: 2 });
      expect(await pointer.read(writer)).toMatchObject({ lastSave: second });
      expect((await current())?.lastSave).toEqual(second);
    });

    it("takes a move twice, whose first answer was lost", async () => {
      const { commit, pointer, writer, current } = await open();
      const save = await commit();
      await pointer.move(writer, 0, save);
      expect((await current())?.lastSave).toEqual(save);
    });

    it("refuses who saves after a save that is not the newest", async () => {
      const { commit, pointer, place, writer, current } = await open();
      const before = await pointer.read(writer);
      const first = await commit();
      const late = commitSave(place, before, [], { writer, kind: "close", leftOut: [], inMotion: [] });
      await expect(late).rejects.toMatchObject({ code: "conflict" });
      expect((await current())?.lastSave).toEqual(first);
    });

    it("refuses a session that another one has followed", async () => {
      const { record, commit, pointer, writer, current } = await open();
      await under.registry.update(record.owner.id, record.id, (known) => ({ ...known, sessionId: "next" }));
      await expect(pointer.read(writer)).rejects.toMatchObject({ code: "conflict" });
      await expect(commit()).rejects.toMatchObject({ code: "conflict" });
      await expect(pointer.claim(writer.session, "first")).rejects.toMatchObject({ code: "conflict" });
      expect((await current())?.lastSave).toBeUndefined();
    });

    it("has one pod as its writer, and notes that the one before was lost", async () => {
      const { session, commit, pointer, writer, current } = await open();
      const save = await commit();
      const before = await pointer.read(writer);
      expect((await current())?.lastLoss).toBeUndefined();
      expect(await pointer.claim(session, "second")).toMatchObject({ lastSave: save });
      expect((await current())?.lastLoss).toMatchObject({ sessionId: session.id, generation: 1, count: 1 });
      await pointer.claim(session, "second");
      expect((await current())?.lastLoss).toMatchObject({ count: 1 });
      await expect(pointer.read(writer)).rejects.toMatchObject({ code: "conflict" });
      const place = { store: under.store, pointer };
      const details = { kind: "checkpoint", leftOut: [], inMotion: [] } as const;
      await expect(commitSave(place, before, [], { writer, ...details })).rejects.toMatchObject({ code: "conflict" });
      const second = { session, pod: "second" };
      // Of another kind, so that it is not taken for the refused one in the same millisecond.
      const last = await commitSave(place, before, [], { writer: second, ...details, kind: "close" });
      expect(last).toMatchObject({ generation: 3 });
    });

    it("is handed over when it is free, with no loss however often", async () => {
      const { session, commit, pointer, current } = await open();
      const at = expect.any(String) as string;
      await commit();
      let pod = "first";
      for (const next of ["second", "third", "fourth"]) {
        expect(await pointer.claimWhenFree(session, next)).toEqual({ heldBy: pod });
        expect((await current())?.restored).toEqual({ sessionId: session.id, pod, at });
        expect(await commit({ session, pod })).toBeDefined();
        await pointer.release({ session, pod });
        await pointer.release({ session, pod });
        expect(await pointer.claimWhenFree(session, next)).toMatchObject({ lastSave: (await current())?.lastSave });
        await expect(pointer.release({ session, pod })).rejects.toMatchObject({ code: "conflict" });
        pod = next;
        await pointer.filled({ session, pod });
      }
      expect((await current())?.restored).toEqual({ sessionId: session.id, pod: "fourth", at });
      expect((await current())?.lastLoss).toBeUndefined();
    });

    it("is free while its pod fills, with which nothing can be lost", async () => {
      const { session, commit, pointer, writer, current } = await open();
      await commit();
      await pointer.release(writer);
      await pointer.claimWhenFree(session, "second");
      expect((await current())?.restored).toMatchObject({ pod: "second", filling: true });
      expect(await pointer.claimWhenFree(session, "third")).toMatchObject({ id: session.replId });
      await expect(pointer.filled({ session, pod: "second" })).rejects.toMatchObject({ code: "conflict" });
      await pointer.claim(session, "fourth");
      expect((await current())?.lastLoss).toBeUndefined();
      await pointer.filled({ session, pod: "fourth" });
      await pointer.filled({ session, pod: "fourth" });
      await pointer.claim(session, "fifth");
      expect((await current())?.lastLoss).toMatchObject({ count: 1 });
    });

    it("remembers what could not be saved when it was handed over, and counts no lost pod for it", async () => {
      const { session, commit, pointer, writer, current } = await open();
      await commit();
      await pointer.release(writer, "1 path: big.iso");
      await pointer.claimWhenFree(session, "second");
      expect((await current())?.lastLoss).toMatchObject({
        sessionId: session.id,
        count: 0,
        notSaved: "1 path: big.iso",
      });
      await pointer.filled({ session, pod: "second" });
      await pointer.claim(session, "third");
      expect((await current())?.lastLoss).toMatchObject({ count: 1, notSaved: "1 path: big.iso" });
    });

    it("is free when its pod is gone, which is a loss, and always for the pod that has it", async () => {
      const { session, pointer, writer, current } = await open();
      await pointer.claimWhenFree(session, "first");
      await pointer.filled(writer);
      await noteGone(under.registry, session, "other");
      expect(await pointer.claimWhenFree(session, "second")).toEqual({ heldBy: "first" });
      await noteGone(under.registry, session, "first");
      expect(await pointer.claimWhenFree(session, "second")).toMatchObject({ id: session.replId });
      expect((await current())?.lastLoss).toMatchObject({ sessionId: session.id, count: 1 });
    });

    it("is not free for a successor when its pod has saved again since it released it", async () => {
      const { session, commit, pointer, writer } = await open();
      await pointer.release(writer);
      await commit();
      expect(await pointer.claimWhenFree(session, "second")).toEqual({ heldBy: "first" });
    });

    it("is free for a session of its own, whatever pod of another one held it", async () => {
      const { record, pointer } = await open();
      const next = newSession(record);
      await under.registry.update(record.owner.id, record.id, (known) => ({ ...known, sessionId: next.id }));
      expect(await under.pointerFor(next).claimWhenFree(next, "next")).toMatchObject({ id: record.id });
      await expect(pointer.claimWhenFree({ ...next, id: "former" }, "pod")).rejects.toMatchObject({
        code: expect.stringMatching(/conflict|unauthorized/) as string,
      });
    });

    it("says when there is no such REPL", async () => {
      const record = newRecord();
      const session = newSession(record);
      const pointer = under.pointerFor(session);
      await expect(pointer.read({ session })).rejects.toMatchObject({ code: "not_found" });
      await expect(pointer.claim(session, "pod")).rejects.toMatchObject({ code: "not_found" });
    });
  });
}
