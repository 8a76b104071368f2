import { createHash } from "node:crypto";
import { MockActivityEnvironment } from "@temporalio/testing";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { CancelledFailure } from "@temporalio/common";
import { createActivities } from "../../../activities/index.ts";
import { createSaveWorkspace, type SaveOutcome } from "../../../activities/save-workspace.ts";
import { ReplError } from "../../../domain/errors.ts";
import { holderOf } from "../../../domain/holder.ts";
import { objectKey } from "../../../domain/naming.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { readSave } from "../../../domain/read-save.ts";
import type { ReplRecord, Session } from "../../../domain/repl.ts";
import { createSavePointer } from "../../../domain/save-pointer.ts";
import { writeSaveManifest, type SaveManifest } from "../../../domain/save.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { podStates } from "../../fakes/pods.ts";
import { newSession, newStart, nodeTemplate } from "../../fakes/records.ts";

const template: SaveManifest = {
  format: 1,
  replId: "node",
  generation: 0,
  sessionId: "template",
  createdAt: "2026-01-01T00:00:00.000Z",
  parent: 0,
  kind: "template",
  files: 2,
  bytes: 2,
  leftOut: [],
  inMotion: [],
  entries: [
    { type: "folder", path: "src", mode: 0o755, mtimeNs: "0" },
    ...["a", "src/b"].map((path) => ({
      type: "file" as const,
      path,
      mode: 0o644,
      mtimeNs: "0",
      sizeBytes: 1,
      sha256: "s",
      key: `${objectKey.template("node", nodeTemplate.digest)}${path}`,
      version: "v",
    })),
  ],
};

const place = { epoch: "", isCreating: true };

describe("activities", () => {
  let fakes: ReturnType<typeof createFakePorts>;
  let activities: ReturnType<typeof createActivities>;
  let containerEnd: { exitCode: number; message: string };
  let saveIn: (pod: string) => typeof containerEnd;
  const start = () => newStart();
  const find = async ({ id, owner }: Pick<ReplRecord, "id" | "owner">) =>
    (await fakes.ports.directory.list(owner.id)).find((repl) => repl.id === id);
  /** Runs one as a worker would, with heartbeats and cancellation. */
  const run = <Input, Result>(activity: (input: Input) => Promise<Result>, input: Input) =>
    new MockActivityEnvironment().run(activity, input);

  beforeEach(async () => {
    containerEnd = { exitCode: 0, message: "{}" };
    saveIn = () => containerEnd;
    fakes = createFakePorts({ save: (_name, _session, pod) => saveIn(pod) });
    activities = createActivities(fakes.ports);
    const entries = await Promise.all(
      template.entries.map(async (entry) => {
        if (entry.type !== "file") return entry;
        const sha256 = createHash("sha256").update(entry.path).digest("hex");
        const { version } = await fakes.ports.store.putFile(entry.key, Buffer.from(entry.path), sha256);
        return { ...entry, sha256, version };
      }),
    );
    const published = { ...template, entries };
    await fakes.ports.store.putText(
      objectKey.templateManifest("node", nodeTemplate.digest),
      writeSaveManifest(published),
    );
  });

  describe("copyTemplate", () => {
    it("makes the first save, whole, and may be repeated", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.copyTemplate(input);
      const record = await fakes.ports.registry.read(input.repl.owner.id, input.repl.id);
      expect(record).toMatchObject({
        ...input.repl,
        sessionId: input.session.id,
        lastSave: { generation: 1, files: 2, bytes: 2 },
      });
      if (!record?.lastSave) throw new Error("there is a save");
      const save = await readSave(fakes.ports.store, input.repl.id, record.lastSave);
      expect(save.entries.map(({ path }) => path)).toEqual(["src", "a", "src/b"]);
      expect((await fakes.ports.store.getText(`${input.repl.owner.login}/${input.repl.id}/src/b`))?.text).toBe("src/b");
    });

    it.each(["a", "src/b"])("is no success when %s cannot be copied: no record, so no REPL", async (broken) => {
      const input = start();
      fakes.objects.failWhen((operation, key) =>
        operation === "copy" && key.endsWith(broken) ? new ReplError("unavailable", "away") : undefined,
      );
      await expect(activities.copyTemplate(input)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining(broken) as string,
      });
      expect(await fakes.ports.registry.read(input.repl.owner.id, input.repl.id)).toBeUndefined();
      fakes.objects.failWhen(undefined);
      await activities.removeNewFiles(input);
      expect(fakes.objects.tracesOf(input.repl.id)).toEqual([]);
    });

    it("copies in its second attempt only what its first one has not", async () => {
      const { store } = fakes.ports;
      const copied: string[] = [];
      const attempt = (number: number, broken?: string) => {
        const copy: typeof store.copy = async (from, to, options) => {
          if (broken !== undefined && from.endsWith(broken)) throw new ReplError("unavailable", "away");
          copied.push(to);
          return store.copy(from, to, options);
        };
        const { copyTemplate } = createActivities({ ...fakes.ports, store: { ...store, copy } });
        return new MockActivityEnvironment({ attempt: number }).run(copyTemplate, input);
      };
      const input = start();
      const files = template.entries.flatMap((entry) => (entry.type === "file" ? [entry.path] : []));
      await expect(attempt(1, files.at(-1))).rejects.toThrow("away");
      const first = copied.splice(0);
      await attempt(2);
      expect(copied.map((key) => key.split("/").at(-1))).toEqual([files.at(-1)?.split("/").at(-1)]);
      expect(first.length + copied.length).toBe(files.length);
    });

    it("waits for a template that is not published yet, and refuses an id that is taken", async () => {
      await expect(
        activities.copyTemplate({ ...start(), template: { ...nodeTemplate, digest: "other" } }),
      ).rejects.toMatchObject({ code: "unavailable" });
      const input = start();
      await activities.copyTemplate(input);
      await expect(
        activities.copyTemplate({ ...input, repl: { ...input.repl, createdAt: "2020-01-01T00:00:00.000Z" } }),
      ).rejects.toMatchObject({ code: "conflict" });
    });
    it("replaces no first save that a record names, whose write was on its way", async () => {
      const input = start();
      const { store, registry } = fakes.ports;
      const attempt = (number: number, ports: Partial<typeof fakes.ports>) =>
        new MockActivityEnvironment({ attempt: number }).run(
          createActivities({ ...fakes.ports, ...ports }).copyTemplate,
          input,
        );
      let onItsWay: ReplRecord | undefined;
      const slow = (record: ReplRecord) => {
        onItsWay = record;
        return Promise.reject(new ReplError("unavailable", "no answer yet"));
      };
      await expect(attempt(1, { registry: { ...registry, create: slow } })).rejects.toThrow("no answer yet");
      let copied = 0;
      const arrives: typeof store.head = async (...asked) => {
        if (onItsWay && ++copied === 1) await registry.create(onItsWay);
        return store.head(...asked);
      };
      await attempt(2, { store: { ...store, head: arrives } });
      expect(copied).toBeGreaterThan(0);
      const { lastSave } = (await registry.read(input.repl.owner.id, input.repl.id)) ?? {};
      expect(lastSave).toEqual(onItsWay?.lastSave);
      expect((await store.getText(objectKey.save(input.repl.id, 1)))?.version).toBe(lastSave?.version);
    });
  });

  describe("removeNewFiles", () => {
    it("never touches a REPL that its owner has been told of", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.publishSession({ session: input.session, url: "http://x/", place });
      await activities.removeNewFiles(input);
      expect(await fakes.ports.registry.read(input.repl.owner.id, input.repl.id)).toBeDefined();
    });
    it("leaves a REPL that was opened while its request was on its way, also to the reconciler", async () => {
      const input = start();
      await new MockActivityEnvironment().run(activities.copyTemplate, input);
      const { store, registry } = fakes.ports;
      const [arrives, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const slow: typeof store.putText = async (...written) => {
        held.resolve();
        await arrives.promise;
        return fakes.objects.store.putText(...written);
      };
      const slowly = { ...fakes.ports, registry: createObjectStoreRegistry({ ...store, putText: slow }) };
      const attempt = new MockActivityEnvironment();
      const late = attempt.run(createActivities(slowly).removeNewFiles, input);
      await held.promise;
      const opened = newSession(input.repl);
      await activities.claimSession({ ...input, session: opened });
      attempt.cancel();
      arrives.resolve();
      await expect(late).rejects.toThrow();
      expect(await registry.read(input.repl.owner.id, input.repl.id)).toMatchObject({ sessionId: opened.id });
      expect(await registry.deletions()).toEqual([]);
    });
    it("never touches what another run made", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.removeNewFiles({ ...input, session: newSession(input.repl) });
      expect(await fakes.ports.registry.read(input.repl.owner.id, input.repl.id)).toBeDefined();
    });
  });

  describe("reserve and release", () => {
    it("counts REPLs that only the registry remembers", async () => {
      const inputs = [start(), start(), start()].map((input, _index, [first]) => ({
        ...input,
        repl: { ...input.repl, owner: (first ?? input).repl.owner },
      }));
      for (const input of inputs) await activities.copyTemplate(input);
      fakes.lookUps.flush();
      const one = start();
      const more = { ...one, repl: { ...one.repl, owner: inputs[0]?.repl.owner ?? one.repl.owner } };
      await expect(activities.reserveRepl({ ...more, session: newSession(more.repl) })).rejects.toMatchObject({
        code: "quota_exceeded",
      });
    });
    it("forgets a REPL that never came to be, and no other", async () => {
      const [made, unmade] = [start(), start()];
      await activities.copyTemplate(made);
      for (const input of [made, unmade]) {
        await activities.reserveRepl(input);
        await activities.releaseRepl({ ...input, failure: "" });
      }
      expect(await find(made.repl)).toMatchObject({ status: "stopped" });
      expect(await find(unmade.repl)).toBeUndefined();
    });
  });

  describe("claimSession after a session whose Deployment is gone", () => {
    async function ended(restored: object) {
      const input = start();
      await activities.copyTemplate(input);
      const { owner, id } = input.repl;
      await fakes.ports.registry.update(owner.id, id, (record) => ({
        ...record,
        restored: { sessionId: input.session.id, pod: "first", at: "2026-01-01T00:00:00.000Z", ...restored },
      }));
      const next = { ...input, session: newSession(input.repl) };
      return { next, lossNoted: async () => (await fakes.ports.registry.read(owner.id, id))?.untold };
    }

    it.each([
      ["with work in it", {}, true],
      ["that had handed over", { released: true }, false],
      ["that was still being filled", { filling: true }, false],
    ])("notes a loss of a pod %s: %o, %s", async (_, restored, isLoss) => {
      const { next, lossNoted } = await ended(restored);
      await activities.claimSession(next);
      expect((await lossNoted()) !== undefined).toBe(isLoss);
    });
    it("waits while its pod has not ended", async () => {
      const { next, lossNoted } = await ended({});
      const cluster = { ...fakes.ports.cluster, waitUntilGone: async () => false };
      await expect(createActivities({ ...fakes.ports, cluster }).claimSession(next)).rejects.toMatchObject({
        code: "unavailable",
      });
      expect(await lossNoted()).toBeUndefined();
    });
  });

  describe("claimSession and applyManifests", () => {
    it("make the session the only writer", async () => {
      const input = start();
      await activities.copyTemplate(input);
      const session = newSession(input.repl);
      expect(await activities.claimSession({ ...input, session })).toEqual(session);
      expect(await fakes.ports.registry.read(input.repl.owner.id, input.repl.id)).toMatchObject({
        sessionId: session.id,
      });
    });
    it("find a session that runs, and never apply over it", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.applyManifests(input);
      await activities.applyManifests(input);
      const second = { ...input, session: newSession(input.repl) };
      expect(await activities.claimSession(second)).toEqual(input.session);
      await expect(activities.applyManifests(second)).rejects.toMatchObject({ code: "conflict" });
    });
    it("never make a session the writer again that another one has superseded", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.applyManifests(input);
      const { id, owner } = input.repl;
      const later = { sessionId: "s-later", restored: { sessionId: "s-later", pod: "p" } };
      await fakes.ports.registry.update(owner.id, id, (record) => ({ ...record, ...later }));
      await expect(activities.claimSession({ ...input, session: newSession(input.repl) })).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("saved aside") as string,
      });
      expect((await fakes.ports.registry.read(owner.id, id))?.sessionId).toBe("s-later");
    });
    it("believe no list that lacks a session which the record says is open", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.applyManifests(input);
      const { id, owner } = input.repl;
      const restored = { sessionId: input.session.id, pod: "p", at: "2026-01-01T00:00:00.000Z" };
      await fakes.ports.registry.update(owner.id, id, (record) => ({ ...record, restored }));
      const cluster = { ...fakes.ports.cluster, findSession: async () => undefined };
      const { claimSession, findSession } = createActivities({ ...fakes.ports, cluster });
      await expect(claimSession({ ...input, session: newSession(input.repl) })).rejects.toMatchObject({
        code: "unavailable",
      });
      // A close goes on to the pods with what the record says.
      expect(await findSession({ replId: id, owner, state: "stopping" })).toEqual(input.session);
    });
    it("refuse a REPL whose deletion has begun", async () => {
      const input = start();
      await activities.copyTemplate(input);
      await fakes.ports.registry.noteDeletion({
        replId: input.repl.id,
        owner: input.repl.owner,
        createdAt: input.repl.createdAt,
      });
      await expect(activities.claimSession(input)).rejects.toMatchObject({ code: "conflict" });
    });
    it("say so when the REPL is gone", async () => {
      await expect(activities.claimSession(start())).rejects.toMatchObject({ code: "not_found" });
    });
  });

  describe("waitUntilReady", () => {
    it("means that the access path answers, not that the pod is Ready", async () => {
      const input = start();
      await activities.applyManifests(input);
      let probes = 0;
      activities = createActivities({
        ...fakes.ports,
        probe: async (url) => url.endsWith(`/${input.repl.id}/ping`) && ++probes === 5,
      });
      expect(await run(activities.waitUntilReady, { session: input.session })).toBe(
        `http://localhost:20008/${input.repl.id}/`,
      );
      expect(probes).toBe(5);
    });
    it("ends with the reason when the pod can never answer", async () => {
      const input = start();
      await activities.applyManifests(input);
      const pod = fakes.machines.pods.get(input.repl.id);
      if (pod) fakes.machines.pods.set(input.repl.id, { ...pod, isHopeless: true });
      activities = createActivities({ ...fakes.ports, probe: async () => false });
      await expect(run(activities.waitUntilReady, { session: input.session })).rejects.toThrow("ErrImageNeverPull");
    });
  });

  it("waitUntilReady tells what an earlier attempt saw, when there is no time left to look again", async () => {
    const { session } = start();
    const waitForPod: typeof fakes.ports.cluster.waitForPod = (_session, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("told to end"))));
    const cluster = { ...fakes.ports.cluster, waitForPod };
    activities = createActivities({ ...fakes.ports, cluster, probe: async () => false });
    const last = new MockActivityEnvironment({
      scheduledTimestampMs: Date.now() - 480_000,
      startToCloseTimeoutMs: 540_000,
      heartbeatDetails: "no pod: exceeded quota",
    });
    await expect(last.run(activities.waitUntilReady, { session })).rejects.toThrow("480 s: no pod: exceeded quota");
  });

  it("waitUntilReady gives up after eight minutes since its first attempt, and says why", async () => {
    const input = start();
    await activities.applyManifests(input);
    activities = createActivities({ ...fakes.ports, probe: async () => false });
    const after = (seconds: number) =>
      new MockActivityEnvironment({
        scheduledTimestampMs: Date.now() - seconds * 1000,
        startToCloseTimeoutMs: 540_000,
      });
    const [patient, late] = [after(450), after(480)];
    let isOver = false;
    const waiting = patient
      .run(activities.waitUntilReady, { session: input.session })
      .catch(() => {})
      .finally(() => (isOver = true));
    await expect(late.run(activities.waitUntilReady, { session: input.session })).rejects.toThrow("480 s: ready");
    expect(isOver).toBe(false);
    patient.cancel();
    await waiting;
  });

  it("waitUntilReady ends as cancelled when it is cancelled", async () => {
    const input = start();
    activities = createActivities({ ...fakes.ports, probe: async () => false });
    const environment = new MockActivityEnvironment();
    const waiting = environment.run(activities.waitUntilReady, { session: input.session });
    environment.cancel();
    await expect(waiting).rejects.toBeInstanceOf(CancelledFailure);
  });

  describe("saveWorkspace", () => {
    const open = async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.reserveSession(input);
      await activities.applyManifests(input);
      return { session: input.session, replId: input.repl.id, owner: input.repl.owner };
    };
    it("answers with the save that was read back", async () => {
      const target = await open();
      expect(await run(activities.saveWorkspace, target)).toMatchObject({ generation: 1, files: 2 });
    });
    it.each([
      [1, '{"error":"the store does not answer"}', "unavailable", "the store does not answer"],
      [137, "", "unavailable", "exit code 137"],
      [3, "{}", "conflict", "writer"],
    ])("takes exit code %i for no save", async (exitCode, message, code, text) => {
      const target = await open();
      containerEnd = { exitCode, message };
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({
        code,
        message: expect.stringContaining(text) as string,
      });
      expect(await find({ id: target.replId, owner: target.owner })).toMatchObject({
        status: "stopping",
        statusReason: expect.stringContaining(text) as string,
      });
    });
    it("does not believe a report that the registry does not bear out", async () => {
      const target = await open();
      containerEnd = { exitCode: 0, message: '{"generation":2}' };
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({ code: "unavailable" });
    });
    it("does not believe a pointer to a manifest that is gone", async () => {
      const target = await open();
      await fakes.ports.store.purge(objectKey.saves(target.replId));
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({ code: "unavailable" });
    });
    it("takes a fresh container for each attempt", async () => {
      const target = await open();
      containerEnd = { exitCode: 1, message: "" };
      await expect(run(activities.saveWorkspace, target)).rejects.toThrow("sync-1");
      await expect(run(activities.saveWorkspace, target)).rejects.toThrow("sync-2");
    });
    it("answers with the newest save where no workspace was ever filled", async () => {
      const target = await open();
      containerEnd = { exitCode: 4, message: "" };
      expect(await run(activities.saveWorkspace, target)).not.toHaveProperty("lost");
      fakes.machines.show(target.session, { first: "starting" });
      expect(await run(activities.saveWorkspace, target)).not.toHaveProperty("lost");
      await activities.removeResources({ session: target.session });
      const answer = await run(activities.saveWorkspace, target);
      expect(answer).toMatchObject({ generation: 1 });
      expect(answer).not.toHaveProperty("lost");
    });

    /** The record says that the session's files were restored in this pod. */
    const restoredIn = async ({ session, owner, replId }: Awaited<ReturnType<typeof open>>, more: object = {}) => {
      const restored = { sessionId: session.id, pod: "first", ...more };
      await fakes.ports.registry.update(owner.id, replId, (record) => ({ ...record, restored }));
    };
    const isLost = { generation: 1, lost: expect.stringMatching(/first.*after save 1 \(2.*Z\) is gone/) as string };

    it.each([
      ["while the pod with the work ends by itself", { first: "ending", second: "not scheduled" }],
      ["while it stands between two lives", { first: "on a node that rebooted" }],
      ["while it ends and its successor runs", { second: "running", first: "ending" }],
    ] as const)("waits %s, and says lost when that pod is gone", async (_, pods) => {
      const target = await open();
      await restoredIn(target);
      fakes.machines.show(target.session, pods);
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/first on node n1/) as string,
      });
      fakes.machines.show(target.session, { second: "running" });
      containerEnd = { exitCode: 4, message: "" };
      const outcome = (await run(activities.saveWorkspace, target)) as { lost?: string };
      expect(outcome).toMatchObject(isLost);
      expect(fakes.told.map(({ event }) => event)).toContainEqual(expect.objectContaining({ message: outcome.lost }));
    });
    it.each([
      ["it was deleted and its successor waits for a node", { second: "not scheduled" }],
      ["it was deleted and its successor waits for the store", { second: "running" }],
      ["it was evicted", { first: "evicted" }],
      ["no pod is left", { first: "gone" }],
    ] as const)("says lost where %s", async (_, pods) => {
      const target = await open();
      await restoredIn(target);
      fakes.machines.show(target.session, pods);
      containerEnd = { exitCode: 4, message: "" };
      expect(await run(activities.saveWorkspace, target)).toMatchObject(isLost);
    });
    it("says nothing of a loss where the pod has handed over", async () => {
      const target = await open();
      await restoredIn(target, { released: true });
      containerEnd = { exitCode: 4, message: "" };
      for (const pods of [{ first: "ending", second: "running" }, { second: "not scheduled" }, {}] as const) {
        fakes.machines.show(target.session, pods);
        expect(await run(activities.saveWorkspace, target)).not.toHaveProperty("lost");
      }
    });
    it("says nothing of a loss where the session has ended, and the registry shows that late", async () => {
      const target = await open();
      await restoredIn(target);
      const { registry } = fakes.ports;
      const older = await registry.read(target.owner.id, target.replId);
      await activities.removeResources({ session: target.session });
      let reads = 0;
      const read: typeof registry.read = async (...given) => (++reads > 1 ? registry.read(...given) : older);
      const saveWorkspace = createSaveWorkspace({ ...fakes.ports, registry: { ...registry, read } }, 0);
      expect(await run(saveWorkspace, target)).not.toHaveProperty("lost");
      expect(reads).toBeGreaterThan(1);
    });
    it("answers without a save of the pod with the work only with what is lost, whatever pods there are", async () => {
      const target = await open();
      const saveWorkspace = createSaveWorkspace(fakes.ports, 0);
      const kinds = { saved: 0, waits: 0, lost: 0 };
      const savedIn: string[] = [];
      for (const first of [...podStates, "gone"] as const) {
        for (const second of [...podStates, "gone"] as const) {
          await restoredIn(target);
          fakes.machines.show(target.session, { second, first });
          saveIn = (pod) => {
            savedIn.push(pod);
            return pod === "first" ? { exitCode: 0, message: "{}" } : { exitCode: 4, message: "" };
          };
          savedIn.length = 0;
          const outcome = await run(saveWorkspace, target).catch((error: unknown) => error);
          if (outcome instanceof ReplError) kinds.waits++;
          else if ((outcome as { lost?: string }).lost) kinds.lost++;
          else {
            kinds.saved++;
            expect(savedIn, `${first} and ${second}`).toContain("first");
          }
        }
      }
      expect(kinds).toEqual({ saved: 3 * 14, waits: 7 * 14, lost: 4 * 14 });
    });
    it("does not believe at the first look that the work is gone", async () => {
      const target = await open();
      await restoredIn(target);
      fakes.machines.show(target.session, { first: "running" });
      const { runInPod } = fakes.ports.cluster;
      let looks = 0;
      const cluster: typeof fakes.ports.cluster = {
        ...fakes.ports.cluster,
        runInPod: async (...args) => (looks++ === 0 ? { nothing: "gone", detail: "no pod" } : runInPod(...args)),
      };
      const outcome = await run(createSaveWorkspace({ ...fakes.ports, cluster }, 0), target);
      expect([looks, outcome]).toMatchObject([2, { generation: 1 }]);
      expect(outcome).not.toHaveProperty("lost");
    });
    it("is not kept from the files by a going back that failed beside it", async () => {
      const target = await open();
      const fence = { session: { ...target.session, id: "went-back" }, isFence: true };
      const writer = async () => (await fakes.ports.registry.read(target.owner.id, target.replId))?.sessionId;
      await activities.removeResources(fence);
      expect(await writer()).toBe(target.session.id);
      await activities.removeResources({ session: target.session });
      await activities.removeResources(fence);
      expect(await writer()).toBe("went-back");
    });
    it("is asked for again, and nothing is removed, where a successor has come to life since", async () => {
      const target = await open();
      await restoredIn(target);
      fakes.machines.show(target.session, { first: "running" });
      const { generation, holder } = (await run(activities.saveWorkspace, target)) as SaveOutcome;
      expect(holder).toEqual({ pod: "first" });
      const remove = (after: object) => activities.removeResources({ session: target.session, after: after as never });
      const pointer = createSavePointer(fakes.ports.registry);
      for (const change of [
        () => pointer.claim(target.session, "second"),
        () => pointer.filled({ session: target.session, pod: "second" }),
        () => pointer.release({ session: target.session, pod: "second" }),
      ]) {
        const before = holderOf(await fakes.ports.registry.read(target.owner.id, target.replId), target.session);
        await change();
        expect(await remove({ generation, holder: before })).toBe("stale");
      }
      expect(await fakes.ports.cluster.findSession(target.replId)).toBeDefined();
      const last = holderOf(await fakes.ports.registry.read(target.owner.id, target.replId), target.session);
      expect(await remove({ generation: generation - 1, holder: last })).toBe("stale");
      expect(await remove({ generation, holder: last })).toBeUndefined();
      expect(await fakes.ports.cluster.findSession(target.replId)).toBeUndefined();
      // Once it has ended nothing can be newer.
      expect(await remove({ generation, holder })).toBeUndefined();
    });
    it("is made anew where a successor has restored while it was made", async () => {
      const target = await open();
      await restoredIn(target);
      fakes.machines.show(target.session, { first: "running" });
      const pointer = createSavePointer(fakes.ports.registry);
      const { runInPod } = fakes.ports.cluster;
      const cluster: typeof fakes.ports.cluster = {
        ...fakes.ports.cluster,
        async runInPod(...args) {
          const found = await runInPod(...args);
          await pointer.claim(target.session, "second");
          return found;
        },
      };
      const late = createActivities({ ...fakes.ports, cluster });
      await expect(run(late.saveWorkspace, target)).rejects.toThrow("second holds the files");
    });
    it("says nothing of a loss with a pod that was still being filled", async () => {
      const target = await open();
      await createSavePointer(fakes.ports.registry).claim(target.session, "first");
      fakes.machines.show(target.session, { first: "gone" });
      expect(await run(createSaveWorkspace(fakes.ports, 0), target)).not.toHaveProperty("lost");
    });
    it("says what is lost where the programs could not be ended before it", async () => {
      const target = await open();
      const words = JSON.stringify({ generation: 1, notStopped: "the runner does not answer" });
      for (const [exitCode, kept, why] of [
        [5, words, "the runner does not answer"],
        [5, words.slice(0, 40), "why, the save's last words do not say"],
        [5, "", "why, the save's last words do not say"],
        [0, words, "the runner does not answer"],
      ] as const) {
        containerEnd = { exitCode, message: kept };
        const { lost, savedAt } = (await run(activities.saveWorkspace, target)) as SaveOutcome;
        expect(lost).toBe(`The programs could not be ended (${why}). What they wrote after ${savedAt} is gone.`);
      }
    });
    it("says what could not be saved when its pod handed over", async () => {
      const target = await open();
      await restoredIn(target);
      const pointer = createSavePointer(fakes.ports.registry);
      await pointer.release({ session: target.session, pod: "first" }, "1 path: big.iso");
      await pointer.claimWhenFree(target.session, "second");
      await pointer.filled({ session: target.session, pod: "second" });
      fakes.machines.show(target.session, { second: "running" });
      const { lost } = (await run(activities.saveWorkspace, target)) as SaveOutcome;
      expect(lost).toMatch(/moved to another node.*big\.iso/);
      expect(lost).not.toContain("was lost at");
    });
    it("looks again where a pod restores while it looks", async () => {
      const target = await open();
      fakes.machines.show(target.session, { first: "starting" });
      const { runInPod } = fakes.ports.cluster;
      const cluster: typeof fakes.ports.cluster = {
        ...fakes.ports.cluster,
        async runInPod(...args) {
          const found = await runInPod(...args);
          await restoredIn(target);
          return found;
        },
      };
      activities = createActivities({ ...fakes.ports, cluster });
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({ code: "unavailable" });
    });
    it("believes no registry that names an older save than the newest known", async () => {
      const target = await open();
      const lastSave = { generation: 2, version: "v", files: 1, bytes: 1, savedAt: "2026-01-01T00:00:00.000Z" };
      await expect(run(activities.saveWorkspace, { ...target, lastSave })).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("names save 1") as string,
      });
      await fakes.ports.store.purge(objectKey.record(target.owner.id, target.replId));
      containerEnd = { exitCode: 4, message: "" };
      await expect(run(activities.saveWorkspace, { ...target, lastSave })).rejects.toMatchObject({
        code: "unavailable",
      });
    });
    it("says so where a pod was replaced before it could be saved", async () => {
      const target = await open();
      await fakes.ports.registry.update(target.owner.id, target.replId, (record) => ({
        ...record,
        lastLoss: { sessionId: target.session.id, at: "2026-01-01T00:00:00.000Z", generation: 1 },
      }));
      expect(await run(activities.saveWorkspace, target)).toMatchObject({
        lost: expect.stringContaining("started again from save 1") as string,
      });
    });
    it("takes keys of its own anew where they are short-lived, so that a close never fails for their age", async () => {
      const target = await open();
      const applied: string[] = [];
      const { applySession } = fakes.ports.cluster;
      const cluster = {
        ...fakes.ports.cluster,
        applySession: (session: Session, manifests: Parameters<typeof applySession>[1]) => {
          applied.push(...manifests.map(({ kind = "" }) => kind));
          return applySession(session, manifests);
        },
      };
      const credentials = { lifetimeSeconds: 900, issue: async () => ({ accessKey: "new", secretKey: "new" }) };
      const withKeys = createActivities({ ...fakes.ports, cluster, credentials });
      await run(withKeys.saveWorkspace, target);
      expect(applied).toEqual(["Secret"]);
      await run(createActivities({ ...fakes.ports, cluster }).saveWorkspace, target);
      expect(applied).toEqual(["Secret"]);
    });
    it("waits for the end of what it removes where that is asked for, and for none that never ends", async () => {
      const { session } = await open();
      const ends = Promise.withResolvers<boolean>();
      const waiting: AbortSignal[] = [];
      const cluster = {
        ...fakes.ports.cluster,
        waitUntilGone: (_: unknown, signal: AbortSignal) => (waiting.push(signal), ends.promise),
      };
      const { removeResources } = createActivities({ ...fakes.ports, cluster });
      await run(removeResources, { session });
      expect(waiting).toEqual([]);
      let isRemoved = false;
      const removed = run(removeResources, { session, untilGone: true }).then(() => (isRemoved = true));
      await vi.waitUntil(() => waiting.length > 0);
      expect(isRemoved).toBe(false);
      ends.resolve(false);
      await removed;
    });
    it("has nothing to keep where the registry does not know the REPL and no workspace was ever filled", async () => {
      const target = await open();
      await fakes.ports.store.purge(objectKey.record(target.owner.id, target.replId));
      containerEnd = { exitCode: 4, message: "" };
      expect(await run(activities.saveWorkspace, target)).toMatchObject({ generation: 0, files: 0 });
      await activities.removeResources({ session: target.session });
      expect(await run(activities.saveWorkspace, target)).toMatchObject({ generation: 0, files: 0 });
    });
    it("keeps the pod where a save was made that the registry does not know", async () => {
      const target = await open();
      await fakes.ports.store.purge(objectKey.record(target.owner.id, target.replId));
      await expect(run(activities.saveWorkspace, target)).rejects.toMatchObject({ code: "unavailable" });
    });
  });

  it("publishSession notes the opening where it is not lost", async () => {
    const input = start();
    await activities.copyTemplate(input);
    await fakes.ports.registry.update(input.repl.owner.id, input.repl.id, (record) => record);
    await activities.publishSession({ session: input.session, url: "http://x/", place });
    fakes.lookUps.flush();
    expect(await fakes.ports.registry.read(input.repl.owner.id, input.repl.id)).toMatchObject({
      lastOpenedAt: expect.any(String) as string,
    });
  });

  describe("a close while the look-ups are away", () => {
    const away = () => Promise.reject(new ReplError("unavailable", "the look-ups are away"));
    let asked = 0;
    const withoutLookUps = () => {
      asked = 0;
      const directory = new Proxy(fakes.ports.directory, { get: () => () => (asked++, away()) });
      return createActivities({ ...fakes.ports, directory });
    };
    const open = async () => {
      const input = start();
      await activities.copyTemplate(input);
      await activities.reserveSession(input);
      await activities.applyManifests(input);
      return { ...input, replId: input.repl.id, owner: input.repl.owner };
    };

    it.each(["stopping", "deleting"] as const)("begins, when it is to become %s", async (state) => {
      const input = await open();
      expect(await run(withoutLookUps().findSession, { ...input, state })).toEqual(input.session);
      expect(asked).toBe(1);
      expect(await fakes.ports.cluster.listSessions(input.owner.id)).toMatchObject([{ ending: state }]);
    });
    it("has nothing to do when nothing runs", async () => {
      const input = await open();
      await activities.removeResources(input);
      expect(await run(withoutLookUps().findSession, { ...input, state: "stopping" as const })).toBeUndefined();
      expect(asked).toBe(1);
    });
    it("ends after some tries, and what the look-ups say then is mended by the reconciler", async () => {
      const input = await open();
      await activities.removeResources(input);
      const saved = { generation: 7, version: "v7", files: 1, bytes: 1, savedAt: "2026-01-01T00:00:00.000Z" };
      await fakes.ports.registry.update(input.owner.id, input.replId, (known) => ({ ...known, lastSave: saved }));
      const { withdrawSession } = withoutLookUps();
      const tryFor = (attempt: number) => new MockActivityEnvironment({ attempt }).run(withdrawSession, input);
      await expect(tryFor(1)).rejects.toMatchObject({ code: "unavailable" });
      await tryFor(5);
      expect(asked).toBe(2);
      expect(await find(input.repl)).toMatchObject({ status: "starting" });
      await run(activities.reviewRemains, {});
      expect(await find(input.repl)).toMatchObject({ status: "stopped", lastSave: saved });
    });
    it("is not said to have ended where something else fails", async () => {
      const input = await open();
      const broken = () => Promise.reject(new Error("broken"));
      const directory = { ...fakes.ports.directory, withdraw: broken, setState: broken };
      const { withdrawSession, findSession } = createActivities({ ...fakes.ports, directory });
      await expect(new MockActivityEnvironment({ attempt: 9 }).run(withdrawSession, input)).rejects.toThrow("broken");
      await expect(run(findSession, { ...input, state: "stopping" as const })).rejects.toThrow("broken");
    });
  });

  it("findSession trusts the cluster, and clears a mark that it does not bear out", async () => {
    const input = start();
    await activities.copyTemplate(input);
    await activities.reserveSession(input);
    const target = { replId: input.repl.id, owner: input.repl.owner, state: "stopping" as const };
    expect(await activities.findSession(target)).toBeUndefined();
    expect(await fakes.ports.directory.activeSession(input.repl.owner.id, input.repl.id)).toBeUndefined();
    await activities.applyManifests(input);
    expect(await activities.findSession(target)).toEqual(input.session);
    expect(await fakes.ports.directory.activeSession(input.repl.owner.id, input.repl.id)).toMatchObject({
      state: "stopping",
    });
  });
});
