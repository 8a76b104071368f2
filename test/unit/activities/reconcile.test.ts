import { MockActivityEnvironment } from "@temporalio/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createApplyManifests } from "../../../activities/apply-manifests.ts";
import { createReviewRemains } from "../../../activities/review-remains.ts";
import { createReviewSessions } from "../../../activities/review-sessions.ts";
import type { ReconcileInput, StartInput } from "../../../activities/inputs.ts";
import type { Ports } from "../../../activities/ports.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import type { ReplRecord, Session } from "../../../domain/repl.ts";
import { newRecord, newStart } from "../../fakes/records.ts";

type Fakes = ReturnType<typeof createFakePorts>;

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
const lastSave = { generation: 3, version: "v3", files: 1, bytes: 1, savedAt: ago(60) };
const run = <T>(activity: (input: ReconcileInput) => Promise<T>, input: ReconcileInput = {}): Promise<T> =>
  new MockActivityEnvironment().run(activity, input);

/** A session that runs and is published, as after an open. */
async function open(fakes: Fakes, age = 3600): Promise<StartInput> {
  const start = newStart({ repl: newRecord({ lastSave }) });
  const record = { ...start.repl, sessionId: start.session.id, restored: { sessionId: start.session.id, pod: "p" } };
  await fakes.ports.registry.create(record);
  await createApplyManifests(fakes.ports)(start);
  const pod = fakes.machines.pods.get(start.repl.id);
  if (pod) pod.createdAt = ago(age);
  const limits = { maxRepls: 100, maxActive: 100 };
  const place = await fakes.ports.directory.reserve(record, start.session, limits, "starting");
  await fakes.ports.directory.publish(start.session, "http://localhost/", record, place, limits);
  return start;
}

describe("the review of all sessions", () => {
  it("tells what is to be ended, and warns before, page by page", async () => {
    const fakes = createFakePorts();
    const [idle, soon, busy] = [await open(fakes), await open(fakes), await open(fakes)];
    const report = { connections: 0, reportedAt: ago(1) };
    fakes.lookUps.report(idle.session, { ...report, lastActivityAt: ago(1900) });
    fakes.lookUps.report(soon.session, { ...report, lastActivityAt: ago(1750) });
    fakes.lookUps.report(busy.session, { ...report, connections: 1, lastActivityAt: ago(9000) });
    const review = createReviewSessions(fakes.ports);
    const first = await run(review);
    const second = await run(review, { cursor: first.next ?? "" });
    expect([first.seen, second.seen, second.next]).toEqual([2, 1, undefined]);
    expect([...first.ends, ...second.ends]).toEqual([
      {
        workflow: "close",
        replId: idle.repl.id,
        owner: idle.repl.owner,
        lastSave,
        reason: "nobody used it for 30 minutes",
      },
    ]);
    expect(fakes.told.filter(({ event }) => event.type === "warning")).toMatchObject([
      { replId: soon.repl.id, event: { message: "It will be closed soon: nobody used it for 30 minutes." } },
    ]);
  });

  it("changes nothing in a dry run, and can be about one user and another time", async () => {
    const fakes = createFakePorts();
    const [mine, other] = [await open(fakes), await open(fakes)];
    for (const { session } of [mine, other])
      fakes.lookUps.report(session, { connections: 0, reportedAt: ago(1), lastActivityAt: ago(100) });
    const input = { userId: mine.repl.owner.id, idleSeconds: 60 };
    const review = createReviewSessions(fakes.ports);
    expect(await run(review, { ...input, isDryRun: true })).toMatchObject({
      seen: 1,
      ends: [],
      findings: [`${mine.repl.id}: close, nobody used it for 60 seconds`],
    });
    expect((await run(review, input)).ends).toMatchObject([{ replId: mine.repl.id }]);
  });

  it("makes the look-ups say again what runs", async () => {
    const fakes = createFakePorts();
    const { repl, session } = await open(fakes);
    await fakes.ports.directory.setState(session, "starting", "Interrupted");
    await run(createReviewSessions(fakes.ports));
    expect(await fakes.ports.directory.list(repl.owner.id)).toMatchObject([{ id: repl.id, status: "running" }]);
    // No undo of a start that was terminated may remove it any more.
    const record = await fakes.ports.registry.read(repl.owner.id, repl.id);
    expect(record).toMatchObject({ lastOpenedSession: session.id });
  });

  it("is kept by no session from looking at the others", async () => {
    const fakes = createFakePorts();
    const [broken, idle] = [await open(fakes), await open(fakes)];
    fakes.lookUps.report(idle.session, { connections: 0, reportedAt: ago(1), lastActivityAt: ago(1900) });
    const ports: Ports = {
      ...fakes.ports,
      registry: {
        ...fakes.ports.registry,
        read: (userId, replId) =>
          replId === broken.repl.id ? Promise.reject(new Error("broken")) : fakes.ports.registry.read(userId, replId),
      },
    };
    expect(await run(createReviewSessions(ports))).toMatchObject({
      ends: [{ replId: idle.repl.id }],
      findings: expect.arrayContaining([`${broken.repl.id}: cannot be looked at (broken)`]) as string[],
    });
  });

  it("goes on without the look-ups, but takes nobody for idle", async () => {
    const fakes = createFakePorts();
    const { session } = await open(fakes);
    fakes.lookUps.report(session, { connections: 0, reportedAt: ago(1), lastActivityAt: ago(1900) });
    const directory = { ...fakes.ports.directory, reports: () => Promise.reject(new Error("away")) };
    expect(await run(createReviewSessions({ ...fakes.ports, directory }))).toMatchObject({ seen: 1, ends: [] });
  });

  it("renews keys when a third of their time is over, and notes it", async () => {
    const fakes = createFakePorts();
    const { repl, session } = await open(fakes, 301);
    let issued = 0;
    const applied: string[] = [];
    const ports: Ports = {
      ...fakes.ports,
      credentials: { lifetimeSeconds: 900, issue: async () => ({ accessKey: `A${++issued}`, secretKey: "S" }) },
      cluster: {
        ...fakes.ports.cluster,
        applySession: async (_, manifests) => void applied.push(...manifests.map(({ kind }) => kind ?? "")),
      },
    };
    await run(createReviewSessions(ports));
    await run(createReviewSessions(ports));
    expect([issued, applied]).toEqual([1, ["Secret"]]);
    expect((await ports.cluster.listSessions(repl.owner.id))[0]?.keysRenewedAt).toBeDefined();
    expect(session.id).toBeTruthy();
  });

  describe("of an orphan", () => {
    const orphanOf = async (fakes: Fakes, session: Session) =>
      (await fakes.ports.cluster.listSessions(session.userId))[0]?.orphan;
    const lose = (fakes: Fakes, { id, owner }: ReplRecord) => fakes.ports.registry.remove(owner.id, id);
    /** As the Schedule does, each a minute after the one before; the orphans that the last one told of. */
    async function looks(fakes: Fakes, count: number) {
      let due;
      for (let look = 0; look < count; look++) {
        vi.setSystemTime(Date.now() + 150_000);
        due = (await run(createReviewSessions(fakes.ports))).orphans;
      }
      return due;
    }
    beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
    afterEach(() => void vi.useRealTimers());

    it.each([
      ["the registry has no such REPL", lose],
      [
        "another session is the writer of its files now",
        (fakes: Fakes, { id, owner }: ReplRecord) =>
          fakes.ports.registry.update(owner.id, id, (record) => ({ ...record, sessionId: "another" })),
      ],
      [
        "its end has come already",
        (fakes: Fakes, { id, owner, sessionId = "" }: ReplRecord) =>
          fakes.ports.registry.update(owner.id, id, (record) => ({ ...record, endedSession: sessionId })),
      ],
    ])("is noted at first, and told of only after many looks over ten minutes: %s", async (reason, orphan) => {
      const fakes = createFakePorts();
      const { repl, session } = await open(fakes, 601);
      const record = await fakes.ports.registry.read(repl.owner.id, repl.id);
      await orphan(fakes, record ?? repl);
      expect(await looks(fakes, 4)).toBeUndefined();
      expect(await orphanOf(fakes, session)).toMatchObject({ looks: 4 });
      expect(await looks(fakes, 2)).toEqual([{ session, reason }]);
      // Nothing is removed by looking.
      expect(fakes.machines.pods.size).toBe(1);
    });

    it("is none any more when one look finds it in order, and begins anew after that", async () => {
      const fakes = createFakePorts();
      const { repl, session } = await open(fakes, 601);
      const record = await fakes.ports.registry.read(repl.owner.id, repl.id);
      if (!record) throw new Error("it is there");
      await lose(fakes, record);
      await looks(fakes, 5);
      await fakes.ports.registry.create(record);
      expect(await looks(fakes, 1)).toBeUndefined();
      expect(await orphanOf(fakes, session)).toBeUndefined();
      await lose(fakes, record);
      expect(await looks(fakes, 1)).toBeUndefined();
      expect(await orphanOf(fakes, session)).toMatchObject({ looks: 1 });
    });

    it("is not noted by a dry run, nor while the session is young, nor by a registry that does not answer", async () => {
      const fakes = createFakePorts();
      const { repl, session } = await open(fakes, 601);
      await lose(fakes, repl);
      await run(createReviewSessions(fakes.ports), { isDryRun: true });
      const registry = { ...fakes.ports.registry, read: () => Promise.reject(new Error("away")) };
      await run(createReviewSessions({ ...fakes.ports, registry }));
      expect(await orphanOf(fakes, session)).toBeUndefined();
      const young = await open(fakes, 10);
      await lose(fakes, young.repl);
      await run(createReviewSessions(fakes.ports));
      expect(await orphanOf(fakes, young.session)).toBeUndefined();
    });
  });
});

describe("the review of what is left over", () => {
  it("finds a deletion that was interrupted, for its workflow to go on with", async () => {
    const fakes = createFakePorts();
    const { repl } = await open(fakes);
    const id = { replId: repl.id, owner: repl.owner, createdAt: repl.createdAt };
    await fakes.ports.registry.noteDeletion(id);
    const review = createReviewRemains(fakes.ports);
    const findings = [`${repl.id}: delete, its deletion was interrupted`];
    expect(await run(review)).toEqual({
      ends: [{ workflow: "delete", ...id, reason: "its deletion was interrupted" }],
      findings,
    });
    expect(await run(review, { isDryRun: true })).toEqual({ findings });
    expect(await run(review, { userId: "another" })).toEqual({ findings: [] });
  });

  it("throws away a late note of an earlier REPL of the same id, and goes on with one that names no time", async () => {
    const fakes = createFakePorts();
    const { repl } = await open(fakes);
    const id = { replId: repl.id, owner: repl.owner };
    await fakes.ports.registry.noteDeletion({ ...id, createdAt: "2020-01-01T00:00:00.000Z" });
    expect(await run(createReviewRemains(fakes.ports))).toEqual({
      findings: [`${repl.id}: a note of an earlier deletion`],
    });
    expect(await fakes.ports.registry.findDeletion(repl.owner.id, repl.id)).toBeUndefined();
    // As releases before it noted them.
    await fakes.ports.registry.noteDeletion(id);
    expect(await run(createReviewRemains(fakes.ports))).toMatchObject({ ends: [{ workflow: "delete", ...id }] });
  });

  it("removes objects without a Deployment when they are old enough", async () => {
    const fakes = createFakePorts();
    const { session } = newStart();
    fakes.machines.left.push({ ...session, createdAt: ago(601) }, { ...newStart().session, createdAt: ago(599) });
    const review = createReviewRemains(fakes.ports);
    expect(await run(review, { isDryRun: true })).toEqual({
      findings: [`${session.replId}: objects without a Deployment`],
    });
    expect(fakes.machines.left).toHaveLength(2);
    await run(review);
    expect(fakes.machines.left).toHaveLength(1);
  });

  it("frees the place of a session that does not run", async () => {
    const fakes = createFakePorts();
    const { repl, session } = await open(fakes);
    await fakes.ports.cluster.remove(session);
    expect(await run(createReviewRemains(fakes.ports))).toEqual({
      findings: [`${repl.id}: taken for open, but nothing runs`],
    });
    expect(await fakes.ports.directory.list(repl.owner.id)).toMatchObject([{ id: repl.id, status: "stopped" }]);
  });
});
