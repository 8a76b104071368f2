import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, inject, it, vi } from "vitest";
import { newPerson } from "./flow.ts";

const workerMain = fileURLToPath(new URL("../../worker/main.ts", import.meta.url));
/** What MAX_ACTIVE_PER_USER is in these tests. */
const places = 3;

/** Kills the worker as a crash would, and starts another one, which lives until all tests are over. */
function replaceWorker(): void {
  const { pid, environment } = inject("worker");
  process.kill(pid, "SIGKILL");
  const successor = spawn(process.execPath, [workerMain], { env: environment, stdio: "ignore", detached: true });
  successor.unref();
  appendFileSync(environment["successors"] ?? "", `${successor.pid}\n`);
}

describe("a worker that dies", () => {
  it("leaves no place taken: what it had begun is ended by the next one, and the quota is whole again", async () => {
    const api = await newPerson();
    const begun = await Promise.all(Array.from({ length: places }, (_, index) => api.startCreate("node", `${index}`)));
    await expect(api.startCreate("node", "one too many")).rejects.toThrow("429");
    replaceWorker();
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
