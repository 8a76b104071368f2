import { describe, expect, it } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { findSave, listSaves } from "../../../domain/save-history.ts";
import { createManifest, summarize, writeSaveManifest, type SaveSummary } from "../../../domain/save.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord } from "../../fakes/records.ts";

/** A manifest; `isStray`: its attempt was refused. */
interface Made {
  readonly generation: number;
  readonly parent: number;
  readonly isStray: boolean;
}

const save = (generation: number, parent: number): Made => ({ generation, parent, isStray: false });
const stray = (generation: number, parent: number): Made => ({ generation, parent, isStray: true });
const savesOf = (made: readonly Made[]) => made.filter(({ isStray }) => !isStray).map(({ generation }) => generation);

async function storeWith(made: readonly Made[]) {
  const { store } = createFakeObjectStore();
  const record = newRecord();
  let lastSave: SaveSummary | undefined;
  for (const { generation, parent, isStray } of made) {
    const head = { replId: record.id, generation, parent, sessionId: "s", createdAt: record.createdAt };
    const manifest = createManifest({ ...head, kind: "checkpoint", leftOut: [], inMotion: [] }, []);
    const { version } = await store.putText(objectKey.save(record.id, generation), writeSaveManifest(manifest));
    if (!isStray) lastSave = summarize(manifest, version);
  }
  let reads = 0;
  const counting: typeof store = { ...store, getHead: (...asked) => (reads++, store.getHead(...asked)) };
  return { store: counting, record: { ...record, ...(lastSave ? { lastSave } : {}) }, reads: () => reads };
}

async function listed(made: readonly Made[]): Promise<number[]> {
  const { store, record } = await storeWith(made);
  return (await listSaves(store, record, { limit: 100 })).saves.map(({ generation }) => generation).toReversed();
}

/** Every history of so many manifests: each is a save or a stray, and a stray may lead on from any save before it. */
function histories(length: number): Made[][] {
  if (length === 1) return [[save(1, 0)]];
  return histories(length - 1).flatMap((before) => {
    const saves = savesOf(before);
    const strays = [0, ...saves].map((parent) => [...before, stray(length, parent)]);
    return [[...before, save(length, saves.at(-1) ?? 0)], ...strays];
  });
}

function subsets<T>([first, ...rest]: readonly T[]): T[][] {
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((others) => [others, [first, ...others]]);
}

describe("which manifests are saves", () => {
  it.each([
    {
      what: "a fenced writer's right after a save that it had not seen",
      made: [save(1, 0), save(2, 1), save(3, 2), save(4, 3), stray(5, 3), save(6, 4)],
    },
    {
      what: "a row of them, of several writers",
      made: [save(1, 0), save(2, 1), stray(3, 1), stray(4, 2), stray(5, 1), stray(6, 1), save(7, 2), save(8, 7)],
    },
    {
      what: "one right before a save and one right after it",
      made: [save(1, 0), stray(2, 1), save(3, 1), stray(4, 1), save(5, 3), save(6, 5)],
    },
    {
      what: "of a REPL's very first writer",
      made: [save(1, 0), stray(2, 0), save(3, 1), stray(4, 0), save(5, 3)],
    },
    {
      what: "one beside numbers that were jumped",
      made: [save(1, 0), save(10, 1), stray(20, 1), save(30, 10), save(40, 30)],
    },
    {
      what: "one above the newest save",
      made: [save(1, 0), save(2, 1), stray(3, 1)],
    },
    {
      what: "one above saves that were cleaned away",
      made: [save(4, 3), save(8, 7), save(9, 8), stray(10, 8), save(11, 9)],
    },
    {
      what: "one whose parent was cleaned away",
      made: [save(4, 3), save(8, 7), save(9, 8), stray(10, 6), save(11, 9)],
    },
  ])("all but $what", async ({ made }) => {
    expect(await listed(made)).toEqual(savesOf(made));
  });

  it("exactly those that became one, in every history of six manifests", async () => {
    const all = histories(6);
    expect(all.length).toBeGreaterThan(500);
    for (const made of all) expect([made, await listed(made)]).toEqual([made, savesOf(made)]);
  });

  it("all that became one and are left, wherever saves between them were cleaned away", async () => {
    for (const made of histories(5)) {
      const cleanable = savesOf(made).slice(0, -2);
      for (const gone of subsets(cleanable)) {
        const left = made.filter(({ generation }) => !gone.includes(generation));
        expect([left, await listed(left)]).toEqual([left, expect.arrayContaining(savesOf(left)) as number[]]);
      }
    }
  });

  it("one that a writer wrote where saves had been cleaned away hides none of those that are left", async () => {
    const made = [save(3, 2), save(7, 6), stray(8, 5), save(10, 9), save(11, 10)];
    expect(await listed(made)).toEqual(expect.arrayContaining(savesOf(made)));
  });

  it("and a page of them takes a look at each and at the one after, whatever the page", async () => {
    const made = [save(1, 0)];
    for (let generation = 2; generation <= 300; generation++)
      made.push(
        generation % 10 === 0
          ? stray(generation, generation - 2)
          : save(generation, savesOf(made.slice(-2)).at(-1) ?? 0),
      );
    const { store, record, reads } = await storeWith(made);
    const limit = 20;
    const page = await listSaves(store, record, { limit, before: 150 });
    expect(page.saves.map(({ generation }) => generation)).toEqual(
      savesOf(made)
        .filter((generation) => generation >= 130 && generation < 150)
        .toReversed(),
    );
    expect(reads()).toBeLessThanOrEqual(limit + 3);
    const before = reads();
    await findSave(store, record, 77);
    expect(reads() - before).toBeLessThanOrEqual(3);
    await expect(findSave(store, record, 80)).rejects.toMatchObject({ code: "not_found" });
  });
});
