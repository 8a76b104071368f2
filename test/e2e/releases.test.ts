import { randomUUID } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { isLivingWorker } from "../setup/living-workers.ts";
import { freeze, operator } from "./cluster.ts";
import { newPerson, recovery } from "./flow.ts";
import { startWorker, workers } from "./programs.ts";

const patience = { timeout: 110_000, interval: 250 };

/** Starts a worker of a release that nobody has seen yet, and waits until new work goes to it. */
async function release(): Promise<string> {
  const buildId = `test-${randomUUID().slice(0, 8)}`;
  await startWorker(buildId);
  await vi.waitFor(async () => expect(await operator().currentRelease()).toBe(buildId), patience);
  return buildId;
}

describe("a new release of the worker", () => {
  it("gets what begins from now on; what had begun ends on the old one, which then goes by itself", async () => {
    const before = await operator().currentRelease();
    const api = await newPerson();
    const thaw = freeze("kubelet");
    try {
      const { id } = await api.startCreate("node", "In flight");
      const old = workers();
      const after = await release();
      for (const pid of old) process.kill(pid, "SIGTERM");
      thaw();
      await vi.waitFor(async () => expect((await api.get(id)).status).toBe("running"), patience);
      expect(await operator().releaseOf(id)).toBe(before);
      await api.close(id);
      expect(await operator().releaseOf(id)).toBe(after);
      await vi.waitFor(() => expect(old.filter(isLivingWorker)).toEqual([]), patience);
      await api.remove(id);
    } finally {
      thaw();
    }
  });

  it("takes over what a release left whose workers are all gone", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Left over");
    const before = await operator().currentRelease();
    const thaw = freeze("s3");
    const closing = api.close(id).catch(() => undefined);
    await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopping"), patience).finally(thaw);
    for (const pid of workers()) process.kill(pid, "SIGKILL");
    const recovered = recovery();
    const after = await release();
    expect(after).not.toBe(before);
    await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopped"), patience);
    recovered();
    await closing;
    expect(await operator().releaseOf(id)).toBe(after);
    await api.remove(id);
  });
});
