import { createHash } from "node:crypto";
import { createActivities, type Activities } from "../../activities/index.ts";
import type { ReplInput } from "../../activities/inputs.ts";
import type { Ports } from "../../activities/ports.ts";
import { commitSave } from "../../domain/commit-save.ts";
import { ReplError } from "../../domain/errors.ts";
import { findViolations, type ReplFacts } from "../../domain/invariants.ts";
import { objectKey } from "../../domain/naming.ts";
import { openRescuePlace } from "../../domain/rescue.ts";
import type { FileStore } from "../../domain/ports.ts";
import { readSave } from "../../domain/read-save.ts";
import type { SavedRepl, Session, User } from "../../domain/repl.ts";
import { createSavePointer } from "../../domain/save-pointer.ts";
import { createManifest, writeSaveManifest, type SaveEntry } from "../../domain/save.ts";
import { createFakePorts, type Outside } from "../fakes/ports.ts";
import { nodeTemplate } from "../fakes/records.ts";

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

/** Which attempts go wrong, and how. */
export type FaultPlan = (activity: keyof Activities, attempt: number) => Fault | undefined;

const workFile = "work.txt";

/**
 * A whole system in memory: the real activities on fake ports, whose pods hold one file that people write into and
 * that restores and saves carry, with the real code of the registry and of saves. Faults come by plan.
 */
export function createWorld(outside?: Outside) {
  /** What the workspace of a session holds; a session without one was never restored. */
  const workspaces = new Map<string, string>();
  const fakes = createFakePorts({ restore, save }, outside);
  const { objects, machines, lookUps } = fakes;
  const ports: Ports = { ...fakes.ports, probe: async (url) => isRestored(url) };
  const { store, registry } = ports;
  const pointer = createSavePointer(registry);
  let plan: FaultPlan = () => undefined;
  let attempts = new Map<string, number>();

  const contentOf = async (record: SavedRepl): Promise<string> => {
    if (!record.lastSave) throw new ReplError("not_found", "no save");
    const entry = (await readSave(store, record.id, record.lastSave)).entries.find(({ path }) => path === workFile);
    if (entry?.type !== "file") return "";
    return (await store.getText(entry.key, entry.version))?.text ?? "";
  };

  /** As the runner behind an access path: it answers when its files are there. */
  function isRestored(url: string): boolean {
    const pod = [...machines.pods.values()].find(({ session }) => url.includes(`/${session.replId}/`));
    return pod !== undefined && workspaces.has(pod.session.id);
  }

  async function restore(session: Session): Promise<void> {
    if (workspaces.has(session.id)) return;
    workspaces.set(session.id, await contentOf(await pointer.claim(session, session.id)));
  }

  /** One save at a time in a pod, as its lock has it. */
  const locks = new Map<string, Promise<unknown>>();
  function save(_name: string, session: Session, _pod: string, command?: string) {
    const work = command === "rescue" ? rescueOf : saveOf;
    const saved = (locks.get(session.id) ?? Promise.resolve()).then(() => work(session));
    locks.set(session.id, saved);
    return saved;
  }

  async function rescueOf(session: Session) {
    const content = workspaces.get(session.id);
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

  async function saveOf(session: Session) {
    const content = workspaces.get(session.id);
    if (content === undefined) return { exitCode: 4, message: "" };
    try {
      const record = await pointer.read({ session });
      if ((await contentOf(record)) === content)
        return { exitCode: 0, message: JSON.stringify({ generation: record.lastSave?.generation }) };
      const key = `${objectKey.workspace(record.owner, record.id)}${workFile}`;
      const summary = await commitSave({ store, pointer }, record, [await fileEntry(key, content)], {
        writer: { session },
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

  async function fileEntry(key: string, content: string, place: FileStore = store): Promise<SaveEntry> {
    const sha256 = createHash("sha256").update(content).digest("hex");
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
      if (fault === "refused before") throw new ReplError("invalid", `${name}: refused`);
      if (fault === "before") throw new ReplError("unavailable", `${name}: fault before attempt ${attempt}`);
      if (fault === "inside") {
        // The store answers once and then goes away, until the attempt is over.
        let calls = 0;
        objects.failWhen(() => (++calls > 1 ? new ReplError("unavailable", `${name}: fault inside`) : undefined));
        return run(input).finally(() => objects.failWhen(undefined));
      }
      if (fault === "twice") await run(input);
      const result = await run(input);
      if (fault === "refused after") throw new ReplError("invalid", `${name}: refused after its effect`);
      if (fault === "after") throw new ReplError("unavailable", `${name}: fault after attempt ${attempt}`);
      return result;
    };
  }

  const activities = Object.fromEntries(
    Object.entries(createActivities(ports)).map(([name, run]) => [
      name,
      withFault(name as keyof Activities, run as (input: never) => Promise<unknown>),
    ]),
  ) as unknown as Activities;

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
    },
    attemptsOf: (name: keyof Activities) => attempts.get(name) ?? 0,
    /** Somebody types into the file of a REPL that is open. */
    async write({ replId }: ReplInput, text: string): Promise<void> {
      const session = await ports.cluster.findSession(replId);
      const content = session && workspaces.get(session.id);
      if (!session || content === undefined) throw new Error(`${replId} is not open`);
      workspaces.set(session.id, content + text);
    },
    /** What somebody who opens the REPL would find, or has before them. */
    async read({ replId, owner }: ReplInput): Promise<string | undefined> {
      const session = await ports.cluster.findSession(replId);
      const open = session && workspaces.get(session.id);
      if (open !== undefined) return open;
      const record = await registry.read(owner.id, replId);
      return record && contentOf(record);
    },
    /** Everything that does not hold, in words; looked at while no workflow is under way. */
    async violations(repls: readonly ReplInput[]): Promise<string[]> {
      const found: string[] = [];
      for (const { replId, owner } of repls)
        for (const { invariant, what } of findViolations(await factsOf(replId, owner), new Date(), -1))
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

export type World = ReturnType<typeof createWorld>;
