import { beforeAll, describe, expect, it } from "vitest";
import type { Limits, ReadTruth, ReplDirectory } from "../../domain/ports.ts";
import type { KnownRepl, ReplRecord, Session } from "../../domain/repl.ts";
import { newRecord, newSession, newUser } from "../fakes/records.ts";

const limits: Limits = { maxRepls: 3, maxActive: 2 };
const save = { generation: 4, version: "v4", files: 2, bytes: 10, savedAt: "2026-01-02T03:04:05.000Z" };
const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const url = "http://here/";

interface UnderTest {
  readonly directory: ReplDirectory;
  /** Removes what the directory keeps of one user, as FLUSHALL does with everything. */
  flush(userId: string): Promise<void>;
}

/** What the look-ups must do, in memory and on Redis alike. */
export function describeReplDirectory(make: (readTruth: ReadTruth) => Promise<UnderTest>): void {
  describe("ReplDirectory", () => {
    const truth = new Map<string, KnownRepl[]>();
    let directory: ReplDirectory;
    let flush: UnderTest["flush"];
    beforeAll(async () => {
      ({ directory, flush } = await make(async (userId) => truth.get(userId) ?? []));
    });

    async function reserved(record: ReplRecord = newRecord(), status: "creating" | "starting" = "creating") {
      const session = newSession(record);
      const place = await directory.reserve(record, session, limits, status);
      return { record, session, place, userId: record.owner.id };
    }
    async function running(record?: ReplRecord) {
      const made = await reserved(record);
      await directory.publish(made.session, url, made.record, made.place, limits);
      return made;
    }
    const find = async ({ id, owner }: ReplRecord) =>
      (await directory.list(owner.id)).find((candidate) => candidate.id === id);

    it("keeps what runners report, of the session that they are of", async () => {
      const { record, session } = await running();
      const lastActivityAt = at(7);
      expect(await directory.reports([session])).toEqual([undefined]);
      await directory.touch(session, { connections: 2, lastActivityAt });
      const [report, other] = await directory.reports([session, newSession(record)]);
      expect(report).toMatchObject({ connections: 2, lastActivityAt });
      expect(Date.parse(report?.reportedAt ?? "")).toBeGreaterThan(Date.now() - 60_000);
      expect(other).toBeUndefined();
    });

    it("names every session that is taken for one that runs", async () => {
      const { session } = await running();
      const marked = async () => {
        const all: Session[] = [];
        for await (const page of directory.marks()) all.push(...page);
        return all.find(({ id }) => id === session.id);
      };
      expect(await marked()).toMatchObject(session);
      await directory.withdraw(session, {});
      expect(await marked()).toBeUndefined();
    });

    it("has nothing of a new user", async () => {
      const { id } = newUser();
      expect(await directory.list(id)).toEqual([]);
      expect(await directory.activeSession(id, "repl-nothing")).toBeUndefined();
    });

    it("follows a REPL from its reservation to its end", async () => {
      const { record, session, place } = await reserved();
      expect(await find(record)).toMatchObject({
        id: record.id,
        name: record.name,
        owner: record.owner,
        status: "creating",
      });

      await directory.publish(session, url, { ...record, lastOpenedAt: at(1), lastSave: save }, place, limits);
      expect(await find(record)).toMatchObject({ status: "running", url, lastOpenedAt: at(1), lastSave: save });

      await directory.setState(session, "stopping", "saving");
      expect(await find(record)).toMatchObject({ status: "stopping", statusReason: "saving" });

      await directory.withdraw(session, { repl: { ...record, lastSave: { ...save, generation: 5 } } });
      const stopped = await find(record);
      expect(stopped).toMatchObject({ status: "stopped", lastSave: { ...save, generation: 5 } });
      expect(stopped?.url).toBeUndefined();
      expect(stopped?.statusReason).toBeUndefined();

      await directory.forget(record.owner.id, record.id);
      await directory.forget(record.owner.id, record.id);
      expect(await find(record)).toBeUndefined();
    });

    it("shows why an open failed until the next one", async () => {
      const { record, session } = await reserved();
      await directory.withdraw(session, { failure: "no room" });
      expect(await find(record)).toMatchObject({ status: "failed", statusReason: "no room" });
      await reserved(record, "starting");
      const starting = await find(record);
      expect(starting?.status).toBe("starting");
      expect(starting?.statusReason).toBeUndefined();
    });

    it("lists newest first, and is not read again while nothing changes", async () => {
      const owner = newUser();
      for (const second of [1, 3, 2]) {
        const { session } = await reserved(newRecord({ owner, createdAt: at(second) }));
        await directory.withdraw(session, {});
      }
      const list = await directory.list(owner.id);
      expect(list.map((repl) => repl.createdAt)).toEqual([at(3), at(2), at(1)]);
      expect(await directory.list(owner.id)).toBe(list);
      await directory.forget(owner.id, list[0]?.id ?? "");
      expect(await directory.list(owner.id)).toHaveLength(2);
    });

    it("takes a place once, however often the same session asks", async () => {
      const owner = newUser();
      const { record, session } = await reserved(newRecord({ owner }));
      await directory.reserve(record, session, limits, "creating");
      await reserved(newRecord({ owner }));
      await expect(reserved(newRecord({ owner }))).rejects.toMatchObject({ code: "quota_exceeded" });
    });

    it("refuses another session of a REPL that has one", async () => {
      const { record } = await reserved();
      await expect(reserved(record, "starting")).rejects.toMatchObject({ code: "conflict" });
    });

    it("refuses one REPL more than the limit, open or not", async () => {
      const owner = newUser();
      for (let index = 0; index < limits.maxRepls; index++) {
        const { session } = await reserved(newRecord({ owner }));
        await directory.withdraw(session, {});
      }
      await expect(reserved(newRecord({ owner }))).rejects.toMatchObject({
        code: "quota_exceeded",
        message: expect.stringContaining("3 REPLs") as string,
      });
    });

    it("passes exactly as many parallel reservations as there are places", async () => {
      const owner = newUser();
      const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => reserved(newRecord({ owner }))));
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(limits.maxActive);
    });

    it("opens what is there, also when the limit has become smaller", async () => {
      const owner = newUser();
      const records = Array.from({ length: limits.maxRepls + 2 }, () => newRecord({ owner }));
      truth.set(
        owner.id,
        records.map((record) => ({ record })),
      );
      const { session, place } = await reserved(records[4], "starting");
      await flush(owner.id);
      await directory.publish(session, url, records[4] as ReplRecord, place, limits);
      await expect(reserved(newRecord({ owner }))).rejects.toMatchObject({ code: "quota_exceeded" });
    });

    it("lets a session that is no longer the REPL's change nothing", async () => {
      const { record, session, place } = await running();
      const stale = newSession(record);
      await directory.setState(stale, "stopping");
      await directory.withdraw(stale, { failure: "stale" });
      await expect(directory.publish(stale, "http://stale/", record, place, limits)).rejects.toMatchObject({
        code: "conflict",
      });
      expect(await directory.touch(stale, { connections: 1, lastActivityAt: at(1) })).toBe(false);
      expect(await directory.touch(session, { connections: 1, lastActivityAt: at(1) })).toBe(true);
      expect(await find(record)).toMatchObject({ status: "running", url });

      const unsaved = { bytes: 10, files: 1, since: at(2) };
      const report = { connections: 1, lastActivityAt: at(2) };
      await directory.touch(session, { ...report, save: { unsaved } });
      expect(await find(record)).toMatchObject({ status: "running", url, unsaved });
      const lastSave = { generation: 9, version: "v9", files: 3, bytes: 30, savedAt: at(3) };
      await directory.touch(session, { ...report, save: {} }, { ...record, lastSave });
      expect(await find(record)).toMatchObject({ status: "running", url, lastSave });
      expect((await find(record))?.unsaved).toBeUndefined();
      await directory.touch(session, { ...report, save: { unsaved } });

      expect(await directory.activeSession(record.owner.id, record.id)).toMatchObject({
        id: session.id,
        state: "running",
      });
    });

    describe("after a flush", () => {
      it("lists what the registry and the cluster know", async () => {
        const owner = newUser();
        const open = newRecord({ owner, createdAt: at(2) });
        const closed = newRecord({ owner, createdAt: at(1) });
        truth.set(owner.id, [{ record: closed }, { record: open, session: { id: "s1", state: "running", url } }]);
        await flush(owner.id);
        expect(await directory.list(owner.id)).toMatchObject([
          { id: open.id, status: "running", url },
          { id: closed.id, status: "stopped" },
        ]);
        expect(await directory.activeSession(owner.id, open.id)).toMatchObject({ id: "s1" });
      });

      it("counts what runs before it gives a place", async () => {
        const owner = newUser();
        truth.set(
          owner.id,
          Array.from({ length: limits.maxActive }, () => ({
            record: newRecord({ owner }),
            session: { id: "s1", state: "running" as const, url },
          })),
        );
        await flush(owner.id);
        await expect(reserved(newRecord({ owner }))).rejects.toMatchObject({ code: "quota_exceeded" });
      });

      it("applies each change to what it fills in first", async () => {
        const { record, session, place } = await reserved();
        truth.set(record.owner.id, [{ record, session: { id: session.id, state: "starting" }, isCreating: true }]);
        await flush(record.owner.id);
        expect(await find(record)).toMatchObject({ status: "creating" });
        await flush(record.owner.id);
        await directory.publish(session, url, record, place, limits);
        expect(await find(record)).toMatchObject({ status: "running" });
        await flush(record.owner.id);
        await directory.setState(session, "stopping");
        expect(await find(record)).toMatchObject({ status: "stopping" });
        await flush(record.owner.id);
        await directory.withdraw(session, { repl: record });
        expect(await find(record)).toMatchObject({ status: "stopped" });
        await flush(record.owner.id);
        await directory.forget(record.owner.id, record.id);
        expect(await find(record)).toBeUndefined();
      });

      it("never lets more REPLs through than there are places, whenever it comes", async () => {
        const owner = newUser();
        const before = [await reserved(newRecord({ owner })), await reserved(newRecord({ owner }))];
        await flush(owner.id);
        const after = [await reserved(newRecord({ owner })), await reserved(newRecord({ owner }))];
        const outcomes = await Promise.allSettled(
          [...before, ...after].map(({ session, record, place }) =>
            directory.publish(session, url, record, place, limits),
          ),
        );
        expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled", "fulfilled"]);
        expect(outcomes[0]).toMatchObject({ reason: { code: "quota_exceeded" } });
      });
    });
  });
}

interface ThatComesBackOlder {
  /** The look-ups of one process, of as many as are asked for. */
  directory(): ReplDirectory;
  /** The server is lost after `meanwhile`, and comes back with what it knew before. */
  comeBackOlder(meanwhile: () => Promise<void>): Promise<void>;
}

/** What the look-ups must do when their server comes back with less than it knew, in memory and on Redis alike. */
export function describeOlderReplDirectory(make: (readTruth: ReadTruth) => Promise<ThatComesBackOlder>): void {
  describe("ReplDirectory whose server comes back older", () => {
    const truth = new Map<string, KnownRepl[]>();
    let under: ThatComesBackOlder;
    beforeAll(async () => {
      under = await make(async (userId) => truth.get(userId) ?? []);
    });

    it("is filled again from the truth: what was made is listed and found, what was deleted stays so", async () => {
      const directory = under.directory();
      const owner = newUser();
      const [kept, deleted, made] = [1, 2, 3].map((second) => newRecord({ owner, createdAt: at(second) })) as [
        ReplRecord,
        ReplRecord,
        ReplRecord,
      ];
      const saved = { ...kept, lastSave: save };
      truth.set(owner.id, [{ record: kept }, { record: deleted }]);
      // Two that keep what they read: one for itself, one in each of its look-ups.
      const other = under.directory();
      for (const process of [directory, other]) expect(await process.list(owner.id)).toHaveLength(2);

      const session = newSession(made);
      const first = newSession(kept);
      await under.comeBackOlder(async () => {
        const place = await directory.reserve(made, session, limits, "creating");
        truth.set(owner.id, [{ record: saved }, { record: made }]);
        await directory.publish(session, url, made, place, limits);
        await directory.withdraw(session, { repl: made });
        const again = await directory.reserve(kept, first, limits, "starting");
        await directory.publish(first, url, kept, again, limits);
        await directory.withdraw(first, { repl: saved });
        await directory.forget(owner.id, deleted.id);
        expect((await directory.list(owner.id)).map(({ id }) => id)).toEqual([made.id, kept.id]);
      });

      for (const process of [other, directory, under.directory()])
        expect(await process.list(owner.id)).toMatchObject([
          { id: made.id, status: "stopped" },
          { id: kept.id, status: "stopped", lastSave: save },
        ]);
      const opened = newSession(made);
      await directory.publish(opened, url, made, await directory.reserve(made, opened, limits, "starting"), limits);
      expect(await other.activeSession(owner.id, made.id)).toMatchObject({ id: opened.id });
    });

    it("applies a change to what it fills in first, and counts places again that were taken before", async () => {
      const owner = newUser();
      const directory = under.directory();
      const [one, two, three] = Array.from({ length: 3 }, () => newRecord({ owner })) as [
        ReplRecord,
        ReplRecord,
        ReplRecord,
      ];
      expect(await directory.list(owner.id)).toEqual([]);
      const sessions = [one, two].map(newSession);
      let place = { epoch: "", isCreating: true };
      await under.comeBackOlder(async () => {
        place = await directory.reserve(one, sessions[0] as Session, limits, "creating");
        await directory.reserve(two, sessions[1] as Session, limits, "creating");
        truth.set(
          owner.id,
          [two, three].map((record) => ({ record, session: { id: "s1", state: "running" as const, url } })),
        );
      });
      await expect(directory.publish(sessions[0] as Session, url, one, place, limits)).rejects.toMatchObject({
        code: "quota_exceeded",
      });
      await directory.forget(owner.id, three.id);
      expect((await directory.list(owner.id)).map(({ id }) => id)).toEqual([two.id]);
    });
  });
}
