import type { Client } from "@temporalio/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "../../../config/logger.ts";
import { createReleases, shouldBecomeCurrent } from "../../../worker/releases.ts";

const releases = (current: string | undefined, all: Record<string, "new" | "released" | "served">) => {
  const where = (fits: (state: string) => boolean) =>
    new Set(Object.entries(all).flatMap(([build, state]) => (fits(state) ? [build] : [])));
  return {
    current,
    known: where(() => true),
    released: where((state) => state !== "new"),
    served: where((state) => state === "served"),
  };
};

describe("shouldBecomeCurrent", () => {
  it("is true for the first release of all", () => {
    expect(shouldBecomeCurrent("a", releases(undefined, { a: "new" }))).toBe(true);
  });
  it("waits until Temporal knows the release", () => {
    expect(shouldBecomeCurrent("b", releases("a", { a: "served" }))).toBe(false);
  });
  it("is true for a new release beside the workers of the current one", () => {
    expect(shouldBecomeCurrent("b", releases("a", { a: "served", b: "new" }))).toBe(true);
  });
  it("is false for a worker of an old release that starts again during an upgrade", () => {
    expect(shouldBecomeCurrent("a", releases("b", { a: "served", b: "served" }))).toBe(false);
  });
  it("is true for an old release when nobody works for the current one: a roll-back", () => {
    expect(shouldBecomeCurrent("a", releases("b", { a: "served", b: "released" }))).toBe(true);
  });
  it("is false for the release that is current already", () => {
    expect(shouldBecomeCurrent("a", releases("a", { a: "served" }))).toBe(false);
  });
});

describe("a release that is looked after", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T00:00:00Z") }));
  afterEach(() => void vi.useRealTimers());

  type Look = Readonly<Record<string, readonly string[]>>;
  const root = "devex";
  const parts = [root, "/_sys/devex/1", "/_sys/devex/2", "/_sys/devex/3"];

  /** Of release `new`, which is current, beside `old` with a workflow; each look says who asks at which part. */
  async function after(looks: readonly Look[], { canList = true, mine = "new" } = {}) {
    const adopted: string[] = [];
    const made: string[] = [];
    const pauses: number[] = [];
    const ended = new AbortController();
    const workflowService = {
      async describeWorkerDeployment() {
        const versionSummaries = ["old", "new"].map((buildId) => ({
          deploymentVersion: { buildId },
          firstActivationTime: {},
        }));
        const routingConfig = { currentDeploymentVersion: { buildId: "new" } };
        return { workerDeploymentInfo: { versionSummaries, routingConfig } };
      },
      listTaskQueuePartitions: () =>
        canList
          ? Promise.resolve({ workflowTaskQueuePartitions: parts.map((key) => ({ key })) })
          : Promise.reject(new Error("not for you")),
      async describeTaskQueue({ taskQueue }: { taskQueue: { name: string } }) {
        const asking = looks[pauses.length]?.[taskQueue.name] ?? [];
        const lastAccessTime = { seconds: Date.now() / 1000 - 60 };
        return { pollers: asking.map((buildId) => ({ lastAccessTime, deploymentOptions: { buildId } })) };
      },
      async updateWorkflowExecutionOptions({ workflowExecution }: { workflowExecution: { workflowId: string } }) {
        adopted.push(`${workflowExecution.workflowId} at look ${pauses.length + 1}`);
      },
      async setWorkerDeploymentCurrentVersion({ buildId }: { buildId: string }) {
        made.push(`${buildId} at look ${pauses.length + 1}`);
        ended.abort();
      },
    };
    async function* list() {
      const raw = { versioningInfo: { deploymentVersion: { buildId: "old" } } };
      if (adopted.length === 0) yield { workflowId: "repl/one", runId: "r", raw };
    }
    const client = {
      connection: { workflowService },
      workflow: { list },
      options: { namespace: "n", identity: "i" },
    } as unknown as Client;
    await createReleases({
      client,
      buildId: mine,
      logger: createLogger("test", "silent"),
      async pause(ms) {
        pauses.push(ms);
        vi.setSystemTime(Date.now() + ms);
        if (pauses.length === looks.length) ended.abort();
      },
    }).lookAfter(ended.signal);
    return { adopted, made, pauses };
  }
  const times = (count: number, look: Look) => Array.from({ length: count }, () => look);

  it("takes nothing from one whose workers ask at another part of the task queue", async () => {
    const { adopted } = await after(times(10, { [root]: ["new"], "/_sys/devex/3": ["old"] }));
    expect(adopted).toEqual([]);
  });

  it("takes over only what several looks in a row have found without a worker", async () => {
    const [both, one] = [{ [root]: ["new", "old"] }, { [root]: ["new"] }];
    const { adopted, pauses } = await after([both, both, one, one, both, one, one, one, one]);
    expect(adopted).toEqual(["repl/one at look 8"]);
    // It hurries while it is in doubt.
    expect(pauses.slice(2, 9)).toEqual([5000, 5000, 10_000, 5000, 5000, 10_000, 10_000]);
  });

  it("believes no absence when it has just begun to look", async () => {
    expect((await after(times(2, { [root]: ["new"] }))).adopted).toEqual([]);
    expect((await after(times(3, { [root]: ["new"] }))).adopted).toEqual(["repl/one at look 3"]);
  });

  it("looks at the one part that it may see, where they are not listed", async () => {
    const looks = [...times(2, { [root]: ["new"] }), { [root]: ["new", "old"] }, ...times(2, { [root]: ["new"] })];
    expect((await after(looks, { canList: false })).adopted).toEqual([]);
  });

  it("takes the current one's place, when it is older, only then too", async () => {
    expect((await after(times(6, { "/_sys/devex/2": ["new"], [root]: ["old"] }), { mine: "old" })).made).toEqual([]);
    expect((await after(times(6, { [root]: ["old"] }), { mine: "old" })).made).toEqual(["old at look 3"]);
  });
});
