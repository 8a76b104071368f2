import type { Client } from "@temporalio/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findViolations } from "../../../domain/invariants.ts";
import { objectKey } from "../../../domain/naming.ts";
import type { Registry } from "../../../domain/ports.ts";
import { createWitness } from "../../../tools/facts.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newRecord } from "../../fakes/records.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { removeFolders } from "../../setup/trees.ts";

afterEach(removeFolders);

describe("the audit of a bucket", () => {
  let fakes: ReturnType<typeof createFakePorts>;
  beforeEach(() => {
    fakes = createFakePorts();
  });

  async function saved(changes: Parameters<typeof newRecord>[0] = {}) {
    const record = newRecord(changes);
    await fakes.ports.registry.create(record);
    const repl = await savedRepl(fakes.ports.store, { id: record.id, userId: record.owner.id });
    for (const path of ["a", "src/b"]) repl.write(path, path);
    await repl.save();
    return record;
  }
  /** `begun` are ids of REPLs that a workflow is at work on. */
  async function audit({ begun = [], registry = {} }: { begun?: string[]; registry?: Partial<Registry> } = {}) {
    async function* list() {
      for (const id of begun) yield { workflowId: `repl/${id}`, type: "createRepl", startTime: new Date() };
    }
    const { facts, silent } = createWitness({
      ...fakes.ports,
      registry: { ...fakes.ports.registry, ...registry },
      registrySource: "the object store",
      client: { workflow: { list } } as unknown as Client,
    });
    const all = await facts(undefined, { ofBucket: true });
    expect([...silent().values()]).toEqual([]);
    return all
      .flatMap((one) => findViolations(one, new Date(), -1))
      .map(({ invariant, replId, what }) => `${invariant} ${replId}: ${what}`);
  }

  it("finds nothing where all is well", async () => {
    await saved();
    await saved();
    expect(await audit()).toEqual([]);
  });

  it("finds a save whose files were purged, although its manifest is whole", async () => {
    await saved();
    const ghost = await saved();
    await fakes.ports.store.purge(`${objectKey.workspace(ghost.owner, ghost.id)}src/`);
    expect(await audit()).toEqual([`I12 ${ghost.id}: of its newest save 1 files are gone: src/b`]);
  });

  it("finds files and saves whose record is gone, and nothing that is not ours", async () => {
    const lost = await saved();
    await fakes.ports.registry.remove(lost.owner.id, lost.id);
    await fakes.ports.store.putText(objectKey.oddFile("repl-odd", "abc"), "x");
    await fakes.ports.store.putText("backups/2026/db.dump", "x");
    const places = `${objectKey.workspace(lost.owner, lost.id)}, ${objectKey.saves(lost.id)}`;
    expect((await audit()).sort()).toEqual(
      [
        `I7 ${lost.id}: there are files in the bucket without a record: ${places}`,
        `I7 repl-odd: there are files in the bucket without a record: ${objectKey.oddFiles("repl-odd")}`,
      ].sort(),
    );
  });

  it("says nothing of files of a create or a deletion that is under way", async () => {
    const [begun, ending] = [await saved(), await saved()];
    for (const { owner, id } of [begun, ending]) await fakes.ports.registry.remove(owner.id, id);
    await fakes.ports.registry.noteDeletion({ replId: ending.id, owner: ending.owner });
    expect(await audit({ begun: [begun.id, ending.id] })).toEqual([]);
    expect(await audit({ begun: [begun.id] })).toEqual([
      `I4 ${ending.id}: its deletion is half done, but no workflow is at work on it`,
    ]);
  });

  it("says nothing of a REPL that is deleted, made or saved again while it looks", async () => {
    const [deleted, again, late] = [await saved(), await saved(), await saved()];
    const { names, read } = fakes.ports.registry;
    const reads = new Map<string, number>();
    const registry: Partial<Registry> = {
      // The first look at the bucket is over by now.
      async names() {
        await fakes.ports.registry.remove(late.owner.id, late.id);
        for (const prefix of [objectKey.workspace(late.owner, late.id), objectKey.saves(late.id)])
          await fakes.ports.store.purge(prefix);
        return names();
      },
      async read(userId, replId) {
        const record = await read(userId, replId);
        reads.set(replId, (reads.get(replId) ?? 0) + 1);
        if (!record || reads.get(replId) !== 1) return record;
        // Between this answer and the look at its files.
        if (replId === deleted.id) {
          await fakes.ports.registry.remove(userId, replId);
          await fakes.ports.store.purge(objectKey.workspace(record.owner, replId));
        }
        if (replId === again.id) {
          await fakes.ports.store.purge(objectKey.save(replId, 1));
          await fakes.ports.registry.update(userId, replId, (known) => ({
            ...known,
            ...(known.lastSave ? { lastSave: { ...known.lastSave, generation: 2, version: "v2" } } : {}),
          }));
        }
        return record;
      },
    };
    expect(await audit({ registry })).toEqual([]);
    expect([reads.get(deleted.id), reads.get(again.id), reads.get(late.id)]).toEqual([2, 2, undefined]);
  });
});
