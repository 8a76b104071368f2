import { describe, expect, it, vi } from "vitest";
import { newPerson } from "./flow.ts";
import { startWorker, workers } from "./workers.ts";

/** What MAX_ACTIVE_PER_USER is in these tests. */
const places = 3;

describe("a worker that dies", () => {
  it("leaves no place taken: what it had begun is ended by the next one, and the quota is whole again", async () => {
    const api = await newPerson();
    const begun = await Promise.all(Array.from({ length: places }, (_, index) => api.startCreate("node", `${index}`)));
    await expect(api.startCreate("node", "one too many")).rejects.toThrow("429");
    for (const pid of workers()) process.kill(pid, "SIGKILL");
    await startWorker();
    await vi.waitFor(
      async () => expect((await api.list()).map(({ status }) => status)).toEqual(begun.map(() => "running")),
      { timeout: 100_000, interval: 500 },
    );
    await Promise.all(begun.map(({ id }) => api.remove(id)));
    expect(await api.list()).toEqual([]);
    const again = await Promise.all(begun.map((_, index) => api.create("node", `again ${index}`)));
    expect(again.map(({ status }) => status)).toEqual(begun.map(() => "running"));
    await Promise.all(again.map(({ id }) => api.remove(id)));
  });
});
