import { beforeAll, describe, expect, it } from "vitest";
import type { Limits, ReplDirectory } from "../../domain/ports.ts";
import type { ReplRecord } from "../../domain/repl.ts";
import { newRecord, newSession, newUser } from "../fakes/records.ts";

const limits: Limits = { maxRepls: 3, maxActive: 2 };
const save = { generation: 4, version: "v4", files: 2, bytes: 10, savedAt: "2026-01-02T03:04:05.000Z" };
const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

/** What the look-ups must do, in memory and on Redis alike. */
export function describeReplDirectory(makeDirectory: () => ReplDirectory): void {
  describe("ReplDirectory", () => {
    let directory: ReplDirectory;
    beforeAll(() => {
      directory = makeDirectory();
    });

    async function reserved(record: ReplRecord = newRecord()) {
      const session = newSession(record);
      await directory.reserve(record, session, limits, "creating");
      return { record, session };
    }

    it("knows nothing of a new user, which is not the same as an empty list", async () => {
      expect(await directory.list(newUser().id)).toBeUndefined();
      expect(await directory.get("repl-nothing")).toBeUndefined();
      expect(await directory.activeSession("repl-nothing")).toBeUndefined();
    });

    it("follows a REPL from its reservation to its end", async () => {
      const { record, session } = await reserved();
      expect(await directory.get(record.id)).toMatchObject({
        id: record.id,
        name: record.name,
        owner: record.owner,
        status: "creating",
      });

      await directory.publish(session, "http://here/", { ...record, lastOpenedAt: at(1), lastSave: save });
      expect(await directory.get(record.id)).toMatchObject({
        status: "running",
        url: "http://here/",
        lastOpenedAt: at(1),
        lastSave: save,
      });

      await directory.setState(session, "stopping", "saving");
      expect(await directory.get(record.id)).toMatchObject({ status: "stopping", statusReason: "saving" });

      await directory.withdraw(session, { save: { ...save, generation: 5 } });
      const stopped = await directory.get(record.id);
      expect(stopped).toMatchObject({ status: "stopped", lastSave: { ...save, generation: 5 } });
      expect(stopped?.url).toBeUndefined();
      expect(stopped?.statusReason).toBeUndefined();

      await directory.forget(record.owner.id, record.id);
      await directory.forget(record.owner.id, record.id);
      expect(await directory.get(record.id)).toBeUndefined();
    });

    it("shows why an open failed until the next one", async () => {
      const { record, session } = await reserved();
      await directory.withdraw(session, { failure: "no room" });
      expect(await directory.get(record.id)).toMatchObject({ status: "failed", statusReason: "no room" });
      await directory.reserve(record, newSession(record), limits, "starting");
      const starting = await directory.get(record.id);
      expect(starting?.status).toBe("starting");
      expect(starting?.statusReason).toBeUndefined();
    });

    it("lists newest first", async () => {
      const owner = newUser();
      const records = [
        newRecord({ owner, createdAt: at(1) }),
        newRecord({ owner, createdAt: at(3) }),
        newRecord({ owner, createdAt: at(2) }),
      ];
      await directory.remember(owner, records);
      expect((await directory.list(owner.id))?.map((repl) => repl.createdAt)).toEqual([at(3), at(2), at(1)]);
    });

    it("keeps a running session when the registry is remembered over it", async () => {
      const { record, session } = await reserved();
      await directory.publish(session, "http://here/", record);
      await directory.remember(record.owner, [record]);
      expect(await directory.get(record.id)).toMatchObject({ status: "running", url: "http://here/" });
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
      await expect(directory.reserve(record, newSession(record), limits, "starting")).rejects.toMatchObject({
        code: "conflict",
      });
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
      const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => reserved(newRecord({ owner }))));
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(limits.maxActive);
    });

    it("lets a session that is no longer the REPL's change nothing", async () => {
      const { record, session } = await reserved();
      const stale = newSession(record);
      await directory.publish(session, "http://here/", record);
      await directory.setState(stale, "stopping");
      await directory.withdraw(stale, { failure: "stale" });
      expect(await directory.get(record.id)).toMatchObject({ status: "running", url: "http://here/" });
      expect(await directory.activeSession(record.id)).toMatchObject({ id: session.id, state: "running" });
    });
  });
}
