import { expect, vi } from "vitest";
import type { ClosedRepl, StartInput } from "../../activities/inputs.ts";
import type { PruneResult } from "../../activities/prune-saves.ts";
import { readManifest } from "../../domain/read-save.ts";
import type { ReplRecord, User } from "../../domain/repl.ts";
import type * as workflows from "../../workflows/index.ts";
import { newRecord, newSession, newStart, newUser } from "../fakes/records.ts";
import { numberOfUsers, replsOfUser, type Action, type Round } from "./rounds.ts";
import { createRuns, terminated, turns } from "./runs.ts";
import { createWorld } from "./world.ts";

/**
 * People with several REPLs each, who know what must be in them, in a world where pods come and go, look-ups are lost
 * and the clock steps.
 */

const minute = 60_000;
const hour = 60 * minute;
const stepOf = (choice: number) => [5 * minute, hour, 26 * hour][choice % 3] ?? 0;
/** An orphan is looked at eight times until its rescue has ended, and a late attempt may make another one meanwhile. */
const manyLooks = 24;

interface Person {
  readonly owner: User;
  start: StartInput;
  /** What the owner has written and must find; undefined while the REPL does not exist. */
  expected: string | undefined;
  /** What it may be as well, until somebody has looked: a command that was told to have failed, and was done. */
  otherwise: string[];
  mayBeGone: boolean;
  /** A removal was terminated: its late attempt may still note it, and then the reconciler ends it. */
  removalStands: boolean;
  /** A create was terminated, perhaps in its undo, which a late attempt may still end while nobody has opened the REPL. */
  undoStands: boolean;
  /** What creates began with that were terminated, so that nothing undid them: a late attempt may end them. */
  readonly mayCome: Map<string, string>;
  /** Sessions of starts that were terminated: a late attempt may make their objects after a close found none. */
  readonly leftBehind: Set<string>;
  writes: number;
  /** The session in which a pod took with it what no save has, until its owner was told. */
  untold: string | undefined;
  /** Sessions that the record does not name any more, and what the newest save had then: what they hold is saved aside. */
  readonly superseded: Map<string, string>;
  /** Sessions whose pod was gone without having handed over. */
  readonly losses: Set<string>;
}

export const counts = { walks: 0, rounds: 0, checks: 0, rescued: 0, lost: 0, closes: 0 };

export async function createPeople(
  all: typeof workflows,
  trace: (line: string) => void = () => {},
  /** Things happen also while workflows are under way, and not only as a round begins. */
  isInterleaved = false,
) {
  const world = createWorld();
  await world.publishTemplate();
  const users = Array.from({ length: numberOfUsers }, () => newUser());
  const people = users.flatMap((owner) => Array.from({ length: replsOfUser }, () => newPerson(owner)));
  let dumped: (() => void) | undefined;
  let latest = Date.now();
  const told = { read: 0 };
  /** What was found wrong where nobody waits for it. */
  const broken: unknown[] = [];
  function noteBroken(error: unknown): void {
    if (isFinding(error)) broken.push(error);
  }

  const runs = createRuns({
    world,
    all,
    trace,
    onEnd: async (name, id, result) => {
      if (name === "shutdownRepl") await heardOfClose(id, result as ClosedRepl);
    },
    onFailure: noteBroken,
    isSlow: isInterleaved,
  });
  const { command, run, had } = runs;

  const personOf = (replId: string) => people.find(({ start }) => start.repl.id === replId);
  const record = (person: Person) => world.ports.registry.read(person.owner.id, person.start.repl.id);
  const idOf = ({ start: { repl } }: Person) => ({ replId: repl.id, owner: repl.owner });

  /** What a close answers is true: nothing runs, and the newest save has all that was written, or it says what is lost. */
  async function heardOfClose(id: string, { save: { lost } }: ClosedRepl): Promise<void> {
    counts.closes++;
    const person = personOf(id);
    const now = person && (await record(person));
    if (!person || !now || person.expected === undefined) return;
    const running = world.pods.get(id)?.session.id;
    if (running !== undefined && !person.leftBehind.has(running)) expect.fail(`${id} was closed, and ${running} runs`);
    expect([person.expected, ...person.otherwise], `${id} was closed`).toContain(await world.contentOf(now));
    if (lost === undefined) return;
    // An answer of before may make it say too much, and never too little.
    if (!had.olderAnswers)
      expect([...person.losses], `${id}: the close says “${lost}”, but no pod was lost`).not.toEqual([]);
    person.untold = undefined;
  }

  /** Also who did not wait for the answer reads it among the events. */
  function hearEvents(): void {
    for (; told.read < world.told.length; told.read++) {
      const { replId, event } = world.told[told.read] as (typeof world.told)[number];
      const person = personOf(replId);
      if (person && event.type === "error" && /after (save \d+|that save).* is gone/.test(event.message))
        person.untold = undefined;
    }
  }

  async function endPod(person: Person, handsOver: boolean): Promise<void> {
    const { repl } = person.start;
    const holder = world.holderOf(repl.id);
    if (!holder) return;
    const { session, name } = holder;
    const before = await world.read(idOf(person));
    const isSaved = await world.endPod(repl.id, handsOver);
    if (world.pods.get(repl.id)?.name === name) return;
    const now = await record(person);
    const isReleased = now?.restored?.pod === name && now.restored.released === true;
    if (!isReleased) person.losses.add(session.id);
    trace(`${name} of ${repl.id} is gone: ${isReleased ? "handed over" : isSaved ? "all was saved" : "with work"}`);
    if (isSaved || person.expected === undefined || !now) return;
    counts.lost++;
    if (now.sessionId !== session.id && !person.superseded.has(session.id)) return;
    person.expected = await world.contentOf(now);
    if (before !== person.expected) person.untold = session.id;
  }

  const act: Readonly<Record<Action, (person: Person, choice: number) => Promise<unknown>>> = {
    async create(person) {
      if (await record(person)) return;
      begin(person, "");
      await create(person);
    },
    async fork(person, choice) {
      const others = people.filter((other) => other.owner === person.owner && other !== person);
      const from = others[choice % others.length] as Person;
      const [own, source] = [await record(person), await record(from)];
      if (own || !source?.lastSave) return;
      const content = await world.contentOf(source);
      begin(person, content, { replId: source.id, save: source.lastSave });
      await create(person);
    },
    async open(person) {
      const repl = await record(person);
      if (!repl) return;
      await begun(person, "openRepl", { ...person.start, repl, session: newSession(repl) });
      const now = await record(person);
      if (now?.sessionId !== person.start.session.id) person.undoStands = false;
    },
    async write(person) {
      if (person.expected === undefined) return;
      // Nobody has a ticket for a REPL that was never published.
      if (isInterleaved && !(await record(person))?.lastOpenedAt) return;
      const text = `${person.writes + 1},`;
      if (!world.type(person.start.repl.id, text)) return;
      person.writes++;
      person.otherwise = person.otherwise.map((other) => other + text);
      person.expected += text;
    },
    checkpoint: (person) => world.checkpoint(person.start.repl.id),
    async close(person) {
      const repl = await record(person);
      if (repl?.lastSave) await command("shutdownRepl", repl.id, { ...idOf(person), lastSave: repl.lastSave });
    },
    async "go back"(person, choice) {
      const repl = await record(person);
      if (!repl?.lastSave || runs.isBusy(repl.id)) return;
      const generation = 1 + (choice % repl.lastSave.generation);
      const then = await readManifest(world.ports.store, repl.id, generation);
      const text = then && (await world.contentOf({ ...repl, lastSave: then.summary }));
      const expected = person.expected;
      const input = { ...idOf(person), sessionId: newSession(repl).id, generation };
      // What a restore that ended has done stays; one that failed may have been done all the same.
      if (text !== undefined) person.otherwise.push(text);
      const result = await command("restoreRepl", repl.id, input);
      if (result === undefined || result === terminated || text === undefined) return;
      if (person.expected === expected) [person.expected, person.otherwise] = [text, []];
    },
    async remove(person) {
      const repl = await record(person);
      if (!repl || runs.isBusy(repl.id)) return;
      person.mayBeGone = true;
      const result = await command("deleteRepl", repl.id, { ...idOf(person), createdAt: repl.createdAt });
      person.removalStands = result === terminated;
      if (result !== terminated) expect(await record(person), `${repl.id} was deleted`).toBeUndefined();
    },
    drain: async (person) => world.drain(person.start.repl.id),
    "end pod": async (person) => {
      world.drain(person.start.repl.id);
      await endPod(person, true);
    },
    "lose pod": async (person) => {
      world.drain(person.start.repl.id);
      await endPod(person, false);
    },
    async "place pod"(person) {
      await world.place(person.start.repl.id);
      // A page that was left open is there again at once, and its owner goes on typing.
      if (isInterleaved) await act.write(person, 0);
    },
    /** In good order: its pods hand over, and the same ones live again. */
    "restart node": async (person) => {
      if (await world.restartNode(person.start.repl.id)) trace(`the node of ${person.start.repl.id} has restarted`);
      if (isInterleaved) await act.write(person, 0);
    },
    flush: async () => world.flush(),
    dump: async () => void (dumped = world.lookUps.dump()),
    "older look-ups": async () => dumped?.(),
    /** As by a database that came back without its newest commits: the record names a writer of before. */
    async supersede(person) {
      const now = await record(person);
      const running = world.pods.get(person.start.repl.id)?.session.id;
      if (!now || !running || now.sessionId !== running || now.endedSession || runs.isBusy(now.id)) return;
      trace(`${running} is superseded`);
      person.superseded.set(running, await world.contentOf(now));
      await world.ports.registry.update(person.owner.id, now.id, (current) => ({
        ...current,
        sessionId: `after-${running}`,
      }));
    },
    reconcile: () => run("reconcileRepls", {}),
    prune: () => run("pruneSaves", {}),
    "clock forth": (_, choice) => setClock(Date.now() + stepOf(choice)),
    "clock back": async (_, choice) => {
      latest = Math.max(latest, Date.now());
      vi.setSystemTime(Date.now() - stepOf(choice));
    },
  };

  async function setClock(to: number): Promise<void> {
    if (to - Date.now() > 24 * hour) await runs.wakeWriters();
    vi.setSystemTime(to);
  }

  async function create(person: Person): Promise<void> {
    const { start, mayCome, expected = "" } = person;
    if ((await begun(person, "createRepl", start)) !== terminated) return;
    mayCome.set(start.repl.createdAt, expected);
    person.undoStands = true;
  }

  async function begun(person: Person, name: "createRepl" | "openRepl", start: StartInput): Promise<unknown> {
    const result = await command(name, start.repl.id, start);
    if (result === terminated) person.leftBehind.add(start.session.id);
    return result;
  }

  function begin(person: Person, content: string, copyOf?: StartInput["copyOf"]): void {
    if (runs.isBusy(person.start.repl.id)) return;
    const repl: ReplRecord = {
      ...newRecord({ owner: person.owner, id: person.start.repl.id }),
      createdAt: new Date().toISOString(),
    };
    person.start = newStart({ repl, ...(copyOf ? { copyOf } : {}) });
    Object.assign(person, {
      expected: content,
      otherwise: [],
      mayBeGone: true,
      removalStands: false,
      undoStands: false,
      writes: 0,
      untold: undefined,
    });
  }

  /** What was started by itself goes on, nodes take what waits for one, and the reconciler looks until all is well. */
  async function comeToRest(): Promise<void> {
    runs.plan([], []);
    for (const person of people) if (world.holderOf(person.start.repl.id)) await endIfMoving(person);
    for (const { start } of people) await world.place(start.repl.id);
    for (let look = 1; look <= manyLooks; look++) {
      await runs.ended();
      latest = Math.max(latest, Date.now()) + 4 * minute;
      await setClock(latest);
      await run("reconcileRepls", {});
      await runs.ended();
      if ((await violations()).length === 0) return;
    }
  }

  const endIfMoving = (person: Person) => endPod(person, true);
  const violations = () => world.violations(people.map(idOf));

  async function check(): Promise<void> {
    counts.checks++;
    for (const error of broken) throw error;
    hearEvents();
    for (const person of people) await checkOne(person);
    expect(await violations()).toEqual([]);
  }

  async function checkOne(person: Person): Promise<void> {
    const id = idOf(person);
    const content = await world.read(id);
    if (content === undefined) {
      expect(person.expected === undefined || person.mayBeGone, `${id.replId} is gone, and nobody removed it`).toBe(
        true,
      );
      // What a pod writes beside a deletion lies below the tombstone, until that is forgotten.
      if (!had.lateAttempts && !isInterleaved) expect(await tracesOf(person)).toEqual([]);
      Object.assign(person, { expected: undefined, untold: undefined });
      return;
    }
    const came = person.mayCome.get((await record(person))?.createdAt ?? "");
    if (came !== undefined && person.writes === 0) person.expected = came;
    if (person.expected === undefined) person.expected = "it is there although it was never created, or was deleted";
    if (person.otherwise.includes(content)) person.expected = content;
    if (content !== person.expected && (await isSavedAside(person))) {
      counts.rescued++;
      expect([...person.superseded.values()], id.replId).toContain(content);
      person.expected = content;
    }
    expect(content, id.replId).toBe(person.expected);
    Object.assign(person, { otherwise: [], mayBeGone: person.removalStands || person.undoStands });
    const running = world.pods.get(id.replId)?.session.id;
    if (person.untold !== undefined && person.untold !== running)
      expect.fail(`${id.replId}: nobody was told of its loss in ${person.untold}`);
  }

  async function isSavedAside({ owner, start, expected = "" }: Person): Promise<boolean> {
    return (await world.rescuedTexts(owner.id, start.repl.id)).includes(expected);
  }

  const tracesOf = async (person: Person) =>
    (await world.tracesOf(idOf(person))).filter((one) => !one.startsWith(".devex/rescued/"));

  return {
    world,
    people,

    async round({ steps, faults, inPods, wakesAll }: Round): Promise<void> {
      counts.rounds++;
      runs.plan(faults, inPods);
      await Promise.all(
        steps.map(async ({ action, user, repl, choice }) => {
          const person = people[user * replsOfUser + repl] as Person;
          if (isInterleaved && besideWorkflows.has(action)) await turns(turnsByChoice[choice] ?? 0);
          trace(`- ${action} ${person.start.repl.id}`);
          await act[action](person, choice).catch(ignoreRefusal);
        }),
      );
      await runs.ended();
      if (wakesAll) await runs.wakeAll();
      hearEvents();
      await comeToRest();
      await check();
    },

    /** Every REPL opens, is written in, closes with all that was written, and leaves nothing when it is deleted. */
    async finish(): Promise<void> {
      await runs.wakeAll();
      await comeToRest();
      await check();
      for (const person of people) await act.close(person, 0);
      for (const person of people) {
        if (!(await record(person))) continue;
        await act.open(person, 0);
        await act.write(person, 0);
        expect(await world.read(idOf(person))).toBe(person.expected);
        await act.close(person, 0);
        await check();
        await act.remove(person, 0);
      }
      await setClock(Math.max(latest, Date.now()) + 25 * hour);
      const { unrecorded } = (await run("pruneSaves", {})) as PruneResult;
      for (const person of people) {
        // A create that was terminated between its first save and its record looks like a record that was lost.
        const isTold = unrecorded.some((place) => place.includes(person.start.repl.id));
        if (!(isTold && had.terminations)) expect(await tracesOf(person)).toEqual([]);
      }
    },
  };
}

/** What no workflow does; it may happen after any turn of one. */
const besideWorkflows = new Set<Action>(["write", "drain", "end pod", "lose pod", "place pod"]);
const turnsByChoice = [0, 0, 0, 50, 150, 400, 800, 1500, 2500, 4000];

/** Whoever is refused, or told that it did not work, still has what they wrote. */
function ignoreRefusal(error: unknown): void {
  if (isFinding(error)) throw error;
}

const isFinding = (error: unknown) => error instanceof Error && error.name === "AssertionError";

function newPerson(owner: User): Person {
  return {
    owner,
    start: newStart({ repl: newRecord({ owner }) }),
    expected: undefined,
    otherwise: [],
    mayBeGone: true,
    removalStands: false,
    undoStands: false,
    mayCome: new Map(),
    leftBehind: new Set(),
    writes: 0,
    untold: undefined,
    losses: new Set(),
    superseded: new Map(),
  };
}
