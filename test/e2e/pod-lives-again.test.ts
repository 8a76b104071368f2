import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { freeze, operator, successorOf } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";

/** As systemd does when a machine goes down in good order: all of a pod's containers are told to end. */
function tellAll(podUid: string): number {
  let told = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`pod${podUid}`)) continue;
      process.kill(Number(pid), "SIGTERM");
      told++;
    } catch {
      // It has ended.
    }
  }
  return told;
}

describe(
  "a pod that lives again after it has handed over, as after a node's restart in good order",
  { timeout: 300_000 },
  () => {
    /** People are in it again, and have written what no checkpoint has. */
    async function livesAgain() {
      const api = await newPerson();
      const { id } = await api.create("node", "Again");
      const editor = await openEditor(api, id);
      await shell(editor, "echo before > before.txt");
      const [pod] = await operator().podsOf(id);
      const { name = "", uid = "" } = pod?.metadata ?? {};
      const registry = createObjectStoreRegistry(createS3ObjectStore(stackObjectStore()));
      const restored = async () => (await registry.read(api.userId, id))?.restored;
      const thaw = freeze("kubelet");
      try {
        expect(tellAll(uid)).toBeGreaterThan(2);
        await vi.waitFor(async () => expect((await restored())?.released).toBe(true), {
          timeout: 20_000,
          interval: 200,
        });
      } finally {
        thaw();
      }
      const again = await vi.waitFor(() => openEditor(api, id), { timeout: 60_000, interval: 200 });
      expect((await operator().podsOf(id)).map(({ metadata }) => metadata?.uid)).toEqual([uid]);
      expect(await restored()).toEqual({
        sessionId: expect.any(String) as string,
        pod: name,
        at: expect.any(String) as string,
      });
      expect(await shell(again, "cat before.txt")).toBe("before");
      await shell(again, "mkdir many; for i in {1..1500}; do echo $i > many/$i; done; echo precious > precious.txt");
      return { api, id, name, uid };
    }

    it("says what is lost with it", async () => {
      const { api, id, name, uid } = await livesAgain();
      await operator().killPod(name);
      await successorOf(id, uid);
      const last = await vi.waitFor(() => openEditor(api, id), { timeout: 30_000, interval: 200 });
      const found = await shell(last, "cat precious.txt 2>&1 || true");
      const { lost } = await api.close(id);
      // A checkpoint may have been just in time.
      if (found !== "precious") expect(lost).toMatch(/after that save is gone/);
      await api.remove(id);
    });

    it("hands over once more when it is evicted", async () => {
      const { api, id, name, uid } = await livesAgain();
      await operator().evictPod(name);
      await successorOf(id, uid);
      const last = await vi.waitFor(() => openEditor(api, id), { timeout: 60_000, interval: 200 });
      expect(await shell(last, "cat precious.txt; ls many | wc -l")).toBe("precious\n1500");
      expect((await api.close(id)).lost).toBeUndefined();
      await api.remove(id);
    });
  },
);
