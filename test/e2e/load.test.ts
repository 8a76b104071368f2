import { describe, expect, it } from "vitest";
import { newPerson, openEditor, shell } from "./flow.ts";

/** More than a node of two cores takes at once; a bigger machine may be asked for more. */
const people = Number(process.env["DEVEX_LOAD_USERS"] ?? 24);
const patienceMs = 600_000;

/** Everybody at once on one machine: slow, but all of it ends well, and nobody is kept waiting for the others. */
describe(`${people} people at once`, () => {
  it("create, work, close, find every byte again and delete, and none fails", { timeout: patienceMs }, async () => {
    const steps = { create: [] as number[], close: [] as number[], open: [] as number[], remove: [] as number[] };
    const timed = async <T>(step: keyof typeof steps, work: Promise<T>): Promise<T> => {
      const begun = performance.now();
      const result = await work;
      steps[step].push(performance.now() - begun);
      return result;
    };
    await Promise.all(
      Array.from({ length: people }, async (_, at) => {
        const api = await newPerson();
        const { id } = await timed("create", api.create("node", `Of person ${at}`));
        const editor = await openEditor(api, id);
        await shell(editor, `echo work of ${at} > work.txt`);
        await editor.close();
        expect((await timed("close", api.close(id))).save.generation).toBe(2);
        const again = await timed("open", openEditor(api, id));
        expect(await shell(again, "cat work.txt")).toBe(`work of ${at}`);
        await again.close();
        await timed("remove", api.remove(id));
        expect(await api.list()).toEqual([]);
      }),
    );
    for (const [step, times] of Object.entries(steps)) {
      times.sort((a, b) => a - b);
      const [middle = 0, longest = 0] = [times[Math.floor(people / 2)], times.at(-1)];
      console.log(`${step}: in the middle ${(middle / 1000).toFixed(1)} s, longest ${(longest / 1000).toFixed(1)} s`);
    }
  });
});
