import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { operator } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

describe("saves", () => {
  it("keeps what was written while people work, also when the pod is gone from one moment to the next", async () => {
    const api = await newPerson();
    const { id, lastSave: first } = await api.create("node", "Checkpoints");
    const editor = await openEditor(api, id);
    await shell(editor, "echo kept > kept.txt");
    await vi.waitFor(
      async () =>
        expect((await api.get(id)).lastSave).toMatchObject({ generation: (first?.generation ?? 0) + 1, files: 4 }),
      { timeout: 30_000, interval: 200 },
    );
    expect((await api.get(id)).unsaved).toBeUndefined();

    const [pod] = await operator().podsOf(id);
    await operator().killPod(pod?.metadata?.name ?? "");
    await vi.waitFor(
      async () => {
        const others = (await operator().podsOf(id)).filter(({ metadata }) => metadata?.uid !== pod?.metadata?.uid);
        expect(others.some(({ status }) => status?.containerStatuses?.every(({ ready }) => ready))).toBe(true);
      },
      { timeout: 60_000, interval: 200 },
    );
    const again = await vi.waitFor(() => openEditor(api, id), { timeout: 15_000, interval: 200 });
    expect(await shell(again, "cat kept.txt")).toBe("kept");
    const closed = await api.close(id);
    expect(closed.lost).toContain("The container was lost");
    await api.remove(id);
  });

  it("goes back to any save, and begins a new REPL with one", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Time machine");
    const editor = await openEditor(api, id);
    await shell(editor, "echo first > a.txt; mkdir empty; ln -s a.txt link; chmod 700 a.txt");
    const first = (await api.close(id)).save.generation;
    await shell(await openEditor(api, id), "echo second > a.txt; rm link; echo new > b.txt");
    await expect(api.goBack(id, first)).rejects.toThrow("409");
    const second = (await api.close(id)).save.generation;
    const { saves } = await api.saves(id);
    expect(saves.map(({ generation }) => generation).slice(0, 2)).toEqual([second, first]);

    expect((await api.goBack(id, first)).save.generation).toBe(second + 1);
    expect((await api.get(id)).lastSave?.generation).toBe(second + 1);
    const look = "cat a.txt; stat -c %a a.txt; readlink link; echo *";
    const copied = await api.copy({ replId: id, generation: second }, "Copy");
    expect(await shell(await openEditor(api, copied.id), "cat a.txt b.txt")).toBe("second\nnew");
    expect(await shell(await openEditor(api, id), look)).toBe(
      "first\n700\na.txt\nREADME.md a.txt empty link package.json server.js",
    );
    for (const repl of [id, copied.id]) {
      await api.close(repl);
      await api.remove(repl);
    }
  });

  it("ends what runs before the last save, so that it holds one moment of the files", async () => {
    const api = await newPerson();
    const { id } = await api.create("python", "Restless");
    const editor = await openEditor(api, id);
    const restless = `trap "" TERM HUP INT; for (( i = 0; ; i++ )); do for f in a b; do echo $i > new; mv new $f; done; done`;
    await shell(editor, `(setsid bash -c '${restless}' > /dev/null 2>&1 &)`);
    // Checkpoints do what they can meanwhile.
    await delay(1000);
    const { save, lost } = await api.close(id);
    expect(lost).toBeUndefined();
    expect(save.files).toBeGreaterThanOrEqual(4);
    const again = await openEditor(api, id);
    const [a, b] = (await shell(again, "cat a b")).split("\n").map(Number);
    // Whoever is ended between the two leaves them one apart.
    expect(a).toBeGreaterThan(10);
    expect((a ?? 0) - (b ?? 0)).toBeLessThanOrEqual(1);
    await api.close(id);
    await api.remove(id);
  });
});
