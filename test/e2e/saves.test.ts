import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { operator, successorOf } from "./cluster.ts";
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
    await successorOf(id, pod?.metadata?.uid);
    const again = await vi.waitFor(() => openEditor(api, id), { timeout: 15_000, interval: 200 });
    expect(await shell(again, "cat kept.txt")).toBe("kept");
    const closed = await api.close(id);
    expect(closed.lost).toContain("The container was lost");
    await api.remove(id);
  });

  // Each turn has a limit of its own; where one takes long, the close says whether its pod was waited for in vain.
  it(
    "hands over what no checkpoint has yet when a pod is evicted, again and again, and says nothing of a loss",
    { timeout: 300_000 },
    async () => {
      const api = await newPerson();
      const { id } = await api.create("node", "Drained");
      for (const turn of ["first", "second", "third"]) {
        const editor = await vi.waitFor(() => openEditor(api, id), { timeout: 15_000, interval: 200 });
        const pod = (await operator().podsOf(id)).find(({ metadata }) => !metadata?.deletionTimestamp);
        await shell(editor, `mkdir ${turn}; for i in {1..1000}; do echo $i > ${turn}/$i; done`);
        await operator().evictPod(pod?.metadata?.name ?? "");
        const evicted = performance.now();
        await successorOf(id, pod?.metadata?.uid);
        console.log(`${turn} successor after ${Math.round((performance.now() - evicted) / 100) / 10} s`);
      }
      const editor = await vi.waitFor(() => openEditor(api, id), { timeout: 15_000, interval: 200 });
      expect(await shell(editor, "cat first/1000 second/1000 third/1000; ls third | wc -l")).toBe(
        "1000\n1000\n1000\n1000",
      );
      expect((await api.close(id)).lost).toBeUndefined();
      await api.remove(id);
    },
  );

  it("says lost at a close where the pod is gone and no other one has a node", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Cordoned");
    const editor = await openEditor(api, id);
    const [pod] = await operator().podsOf(id);
    const uncordon = await operator().cordon(pod?.spec?.nodeName ?? "");
    try {
      await shell(editor, "echo lost > work.txt");
      await operator().killPod(pod?.metadata?.name ?? "");
      expect((await api.close(id)).lost).toMatch(/lost before its files could be saved .* is gone/);
    } finally {
      await uncordon();
    }
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
