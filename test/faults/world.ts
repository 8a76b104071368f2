import { createHash } from "node:crypto";
import { createActivities, type Activities } from "../../activities/index.ts";
import type { ReplInput } from "../../activities/inputs.ts";
import type { Ports } from "../../activities/ports.ts";
import { commitSave } from "../../domain/commit-save.ts";
import { ReplError } from "../../domain/errors.ts";
import { findViolations, type ReplFacts } from "../../domain/invariants.ts";
import { objectKey } from "../../domain/naming.ts";
import { listRescued, openRescuePlace, readRescued } from "../../domain/rescue.ts";
import type { FileStore } from "../../domain/ports.ts";
import { readSave } from "../../domain/read-save.ts";
import type { SavedRepl, Session, User } from "../../domain/repl.ts";
import { createSavePointer, noteGone } from "../../domain/save-pointer.ts";
import { createManifest, writeSaveManifest, type SaveEntry } from "../../domain/save.ts";
import { createFakePorts, type Outside } from "../fakes/ports.ts";
import { nodeTemplate } from "../fakes/records.ts";
import { gate, meeting, type Meets } from "./gate.ts";

/** How an attempt of an activity can go wrong. */
export const faults = ["before", "after", "twice", "inside"] as const;
export type Fault = (typeof faults)[number] | (typeof finalFaults)[number];
/** Those that no attempt mends: the workflow fails, and waits for an operator. */
export const finalFaults = ["refused before", "refused after"] as const;

/** What each workflow does when all goes well. */
export const stepsOf = {
  createRepl: ["reserveRepl", "copyTemplate", "applyManifests", "waitUntilReady", "publishSession"],
  openRepl: ["claimSession", "reserveSession", "applyManifests", "waitUntilReady", "publishSession"],
  shutdownRepl: ["findSession", "saveWorkspace", "removeResources", "withdrawSession"],
  deleteRepl: ["findSession", "removeResources", "removeFiles", "forgetRepl"],
} as const satisfies Record<string, readonly (keyof Activities)[]>;

/**
 * The steps of what people ask for that random faults strike, the undos too. A kept seed names them by their place: one
 * more would make other walks of them all.
 */
export const commandSteps = [
  "reserveRepl",
  "reserveSession",
  "copyTemplate",
  "claimSession",
  "applyManifests",
  "waitUntilReady",
  "publishSession",
  "findSession",
  "saveWorkspace",
  "removeResources",
  "withdrawSession",
  "removeFiles",
  "forgetRepl",
  "releaseRepl",
  "releaseSession",
  "removeNewFiles",
] as const satisfies readonly (keyof Activities)[];

/** Which attempts go wrong, and how. */
export type FaultPlan = (activity: keyof Activities, attempt: number) => Fault | undefined;

const workFile = "work.txt";

/**
 * A whole system in memory: the real activities on fake ports, whose pods hold one file that people write into and
 * that restores and saves carry, with the real code of the registry and of saves. Faults come by plan.
 */
export function createWorld(outside: Outside = gate) {
  /** What the workspace of a pod holds; a pod without one was never restored. */
  const workspaces = new Map<string, string>();
  /** Pods in which a close has ended the programs. */
  const closing = new Set<string>();
  /** Pods that have saved for another one to go on: nobody is let in. */
  const handedOver = new Set<string>();
  /** Pods whose programs have ended with their node. */
  const restarting = new Set<string>();
  /** Pods that no node has taken yet. */
  const unplaced = new Set<string>();
  /** What the calls of a pod's program meet. */
  let inPods: () => Meets = () => (call) => call.answer();
  const fakes = createFakePorts({ restore, save, onGone: (pod) => void workspaces.delete(pod) }, outside);
  const { objects, machines, lookUps } = fakes;
  const ports: Ports = { ...fakes.ports, probe: async (url) => isRestored(url) };
  const { store, registry } = ports;
  const pointer = createSavePointer(registry);
  let plan: FaultPlan = () => undefined;
  let attempts = new Map<string, number>();
  let strikes = 0;

  const contentOf = async (record: SavedRepl): Promise<string> => {
    if (!record.lastSave) throw new ReplError("not_found", "no save");
    return textIn((await readSave(store, record.id, record.lastSave)).entries);
  };
  const textIn = async (entries: readonly SaveEntry[]): Promise<string> => {
    const entry = entries.find(({ path }) => path === workFile);
    if (entry?.type !== "file") return "";
    const text = (await store.getText(entry.key, entry.version))?.text;
    if (text === undefined || digestOf(text) !== entry.sha256)
      throw new ReplError("unavailable", `${entry.key} is not what its save says`);
    return text;
  };

  /** As the runner behind an access path: it answers when its files are there. */
  function isRestored(url: string): boolean {
    const pod = [...machines.pods.values()].find(({ session }) => url.includes(`/${session.replId}/`));
    return pod !== undefined && workspaces.has(pod.name);
  }

  /** By force where another pod holds the files: a pod waits for that one no longer than it may take to end. */
  function restore(session: Session, pod: string): Promise<void> {
    return meeting(inPods(), async () => {
      if (workspaces.has(pod) && !handedOver.has(pod)) return;
      if (unplaced.has(pod)) throw new ReplError("unavailable", `${pod}: no node takes it`);
      const claimed = await pointer.claimWhenFree(session, pod);
      const content = await contentOf("heldBy" in claimed ? await pointer.claim(session, pod) : claimed);
      if (handedOver.has(pod) && content !== workspaces.get(pod)) {
        handedOver.delete(pod);
        workspaces.delete(pod);
      }
      await pointer.filled({ session, pod });
      handedOver.delete(pod);
      if (machines.pods.get(session.replId)?.name === pod && !workspaces.has(pod)) workspaces.set(pod, content);
    });
  }

  /** One save at a time in a pod, as its lock has it. */
  const locks = new Map<string, Promise<unknown>>();
  function locked<T>(pod: string, work: () => Promise<T>): Promise<T> {
    const done = (locks.get(pod) ?? Promise.resolve()).catch(() => {}).then(work);
    locks.set(pod, done);
    return done;
  }

  function save(_name: string, session: Session, pod: string, command?: string) {
    if (command === "reopen") return locked(pod, async () => (closing.delete(pod), { exitCode: 0, message: "" }));
    const work = command === "rescue" ? rescueOf : saveOf;
    if (workspaces.has(pod)) closing.add(pod);
    return locked(pod, () => meeting(inPods(), () => work(session, pod)));
  }

  async function rescueOf(session: Session, pod: string) {
    const content = workspaces.get(pod);
    if (content === undefined) return { exitCode: 4, message: "" };
    try {
      const place = await openRescuePlace(store, session);
      const record = await place.pointer.read({ session });
      const entry = await fileEntry(`${objectKey.workspace(record.owner, record.id)}${workFile}`, content, place.store);
      const details = { writer: { session }, kind: "close", leftOut: [], inMotion: [] } as const;
      return { exitCode: 0, message: JSON.stringify(await commitSave(place, record, [entry], details)) };
    } catch (error) {
      return { exitCode: 1, message: JSON.stringify({ error: String(error) }) };
    }
  }

  async function saveOf(session: Session, pod: string) {
    const content = workspaces.get(pod);
    if (content === undefined) return { exitCode: 4, message: "" };
    try {
      const record = await pointer.read({ session, pod });
      if ((await contentOf(record)) === content)
        return { exitCode: 0, message: JSON.stringify({ generation: record.lastSave?.generation }) };
      const key = `${objectKey.workspace(record.owner, record.id)}${workFile}`;
      const summary = await commitSave({ store, pointer }, record, [await fileEntry(key, content)], {
        writer: { session, pod },
        kind: "close",
        leftOut: [],
        inMotion: [],
      });
      return { exitCode: 0, message: JSON.stringify(summary) };
    } catch (error) {
      const isOther = error instanceof ReplError && (error.code === "conflict" || error.code === "not_found");
      return { exitCode: isOther ? 3 : 1, message: JSON.stringify({ error: String(error) }) };
    }
  }

  /** Pods that end, and which one is made in their place. */
  const moves = new Map<string, string>();

  async function handOver(session: Session, pod: string): Promise<boolean> {
    try {
      return await meeting(inPods(), async () => {
        if ((await saveOf(session, pod)).exitCode !== 0) return false;
        handedOver.add(pod);
        await pointer.release({ session, pod });
        return true;
      });
    } catch {
      return false;
    }
  }

  /** A pod that holds files, of the session that runs. */
  function holderOf(replId: string) {
    const holder = machines.pods.get(replId);
    return holder && workspaces.has(holder.name) ? holder : undefined;
  }

  async function fileEntry(key: string, content: string, place: FileStore = store): Promise<SaveEntry> {
    const sha256 = digestOf(content);
    const { version } = await place.putFile(key, Buffer.from(content), sha256);
    const common = { path: workFile, mode: 0o644, mtimeNs: "0" };
    return { ...common, type: "file", sizeBytes: Buffer.byteLength(content), sha256, key, version };
  }

  /** The template that every REPL here begins with: its one file is empty. */
  async function publishTemplate(): Promise<void> {
    const { name, digest } = nodeTemplate;
    const entry = await fileEntry(`${objectKey.template(name, digest)}${workFile}`, "");
    const header = {
      replId: name,
      generation: 0,
      parent: 0,
      createdAt: "2026-01-01T00:00:00.000Z",
      sessionId: "template",
      kind: "template" as const,
      leftOut: [],
      inMotion: [],
    };
    await store.putText(objectKey.templateManifest(name, digest), writeSaveManifest(createManifest(header, [entry])));
  }

  function withFault(name: keyof Activities, run: (input: never) => Promise<unknown>) {
    return async (input: never): Promise<unknown> => {
      const attempt = (attempts.get(name) ?? 0) + 1;
      attempts.set(name, attempt);
      const fault = plan(name, attempt);
      if (fault) strikes++;
      if (fault === "refused before") throw new ReplError("invalid", `${name}: refused`);
      if (fault === "before") throw new ReplError("unavailable", `${name}: fault before attempt ${attempt}`);
      if (fault === "inside") return inTheMiddle(name, () => run(input));
      if (fault === "twice") await run(input);
      const result = await run(input);
      if (fault === "refused after") throw new ReplError("invalid", `${name}: refused after its effect`);
      if (fault === "after") throw new ReplError("unavailable", `${name}: fault after attempt ${attempt}`);
      return result;
    };
  }

  /** Its first call is answered, no other is; of an activity that makes but one the end is never heard of. */
  async function inTheMiddle(name: string, run: () => Promise<unknown>): Promise<never> {
    const failure = new ReplError("unavailable", `${name}: fault inside`);
    await meeting(
      (call, number) => (number > 1 ? Promise.reject(failure) : call.answer()),
      () => run(),
    );
    throw failure;
  }

  const activities = Object.fromEntries(
    Object.entries(createActivities(ports)).map(([name, run]) => [
      name,
      withFault(name as keyof Activities, run as (input: never) => Promise<unknown>),
    ]),
  ) as unknown as Activities;

  /** False where nobody can: nothing is open, or its programs have ended. */
  function type(replId: string, text: string): boolean {
    const holder = holderOf(replId);
    if (!holder || [closing, restarting, handedOver].some((pods) => pods.has(holder.name))) return false;
    workspaces.set(holder.name, (workspaces.get(holder.name) ?? "") + text);
    return true;
  }

  async function factsOf(replId: string, owner: User): Promise<ReplFacts> {
    const record = await registry.read(owner.id, replId);
    const broken = record
      ? await contentOf(record).then(
          () => undefined,
          (error: unknown) => String(error),
        )
      : undefined;
    const session = (await ports.cluster.listSessions(owner.id)).find((running) => running.replId === replId);
    const isBeingDeleted = (await registry.findDeletion(owner.id, replId)) !== undefined;
    return {
      replId,
      record,
      broken,
      session,
      isBeingDeleted,
      known: await ports.directory.activeSession(owner.id, replId),
    };
  }

  return {
    ...fakes,
    ports,
    activities,
    publishTemplate,
    /** From now on, with every activity's attempts counted from 1. */
    plan(next: FaultPlan): void {
      plan = next;
      attempts = new Map();
      strikes = 0;
    },
    /** How many attempts have met a fault of the plan. */
    strikes: () => strikes,
    /** What the programs of pods meet from now on, each from its first call. */
    meetInPods(next: () => Meets): void {
      inPods = next;
    },
    attemptsOf: (name: keyof Activities) => attempts.get(name) ?? 0,
    type,
    /** Somebody types into the file of a REPL that is open. */
    async write({ replId }: ReplInput, text: string): Promise<void> {
      if (!type(replId, text)) throw new Error(`${replId} is not open`);
    },
    /** What somebody who opens the REPL would find, or has before them. */
    async read({ replId, owner }: ReplInput): Promise<string | undefined> {
      const holder = holderOf(replId);
      if (holder) return workspaces.get(holder.name);
      const record = await registry.read(owner.id, replId);
      return record && contentOf(record);
    },
    holderOf,
    contentOf,
    /** What was saved aside of a REPL's orphans. */
    async rescuedTexts(userId: string, replId: string): Promise<string[]> {
      const texts: string[] = [];
      for (const rescued of await listRescued(store, userId)) {
        if (rescued.replId !== replId) continue;
        texts.push(await textIn(await readRescued(store, rescued)));
      }
      return texts;
    },
    /** What the pod saves from time to time. */
    async checkpoint(replId: string): Promise<void> {
      const holder = holderOf(replId);
      if (holder) await locked(holder.name, () => meeting(inPods(), () => saveOf(holder.session, holder.name)));
    },
    /** The pod is told to end, and another one is made in its place, which no node takes yet. */
    drain(replId: string): void {
      const holder = holderOf(replId);
      if (!holder) return;
      const next = machines.nextName(holder.session);
      unplaced.add(next);
      machines.show(holder.session, { [holder.name]: "ending", [next]: "not scheduled" });
      moves.set(holder.name, next);
    },
    /**
     * A pod that ends is gone: after it has handed over, if it can, or without. Answers false when it took with it what
     * no save has.
     */
    async endPod(replId: string, handsOver: boolean): Promise<boolean> {
      const holder = holderOf(replId);
      const next = holder && moves.get(holder.name);
      if (!holder || !next) return true;
      const { session, name } = holder;
      return locked(name, async () => {
        if (!workspaces.has(name)) return true;
        // The programs end before the last checkpoint.
        if (handsOver) closing.add(name);
        const isReleased = handsOver && !handedOver.has(name) && (await handOver(session, name));
        const record = await registry.read(session.userId, replId);
        const isSaved = isReleased || (record !== undefined && (await contentOf(record)) === workspaces.get(name));
        workspaces.delete(name);
        moves.delete(name);
        // Its manifests may have been applied once more since.
        const pod = machines.pods.get(replId);
        if (pod?.name === name) pod.name = next;
        machines.show(session, { [next]: "not scheduled" });
        await noteGone(registry, session, name);
        return isSaved;
      });
    },
    /** The pod hands over, lives again, and is not let into before it holds its files again. False where there is none. */
    async restartNode(replId: string): Promise<boolean> {
      const holder = holderOf(replId);
      if (!holder || moves.has(holder.name)) return false;
      const { session, name } = holder;
      await locked(name, async () => {
        if (!workspaces.has(name) || moves.has(name)) return;
        restarting.add(name);
        await handOver(session, name);
        restarting.delete(name);
        if (!handedOver.has(name)) return;
        unplaced.add(name);
        await this.place(replId);
      });
      return true;
    },
    /** A node takes the pod that waits for one, and its files are restored. */
    async place(replId: string): Promise<void> {
      const pod = machines.pods.get(replId);
      if (!pod || !unplaced.delete(pod.name)) return;
      machines.show(pod.session, { [pod.name]: "running" });
      await restore(pod.session, pod.name).catch(() => unplaced.add(pod.name));
    },
    /** Everything that does not hold, in words; looked at while no workflow is under way. */
    async violations(repls: readonly ReplInput[]): Promise<string[]> {
      const found: string[] = [];
      for (const { replId, owner } of repls)
        for (const { invariant, what } of findViolations(
          await factsOf(replId, owner),
          new Date(),
          Number.NEGATIVE_INFINITY,
        ))
          found.push(`${invariant} ${replId}: ${what}`);
      return found;
    },
    /** Keys of a REPL, old versions included, and whatever else there is of it. */
    async tracesOf({ replId, owner }: ReplInput): Promise<string[]> {
      const running = await ports.cluster.findSession(replId);
      const listed = (await ports.directory.list(owner.id)).filter(({ id }) => id === replId);
      const records = (await registry.list(owner.id)).filter(({ id }) => id === replId);
      return [
        ...objects.tracesOf(replId),
        ...(running ? [`session ${running.id}`] : []),
        ...listed.map(({ status }) => `listed as ${status}`),
        ...records.map(({ id }) => `record of ${id}`),
      ];
    },
    flush: lookUps.flush,
    pods: machines.pods,
  };
}

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

export type World = ReturnType<typeof createWorld>;
