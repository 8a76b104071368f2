import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { runSave } from "../../../adapters/run-save.ts";

/** A pod whose node does with save containers as it is told. */
function podWith(stateOf: (name: string) => object | undefined, readLog: () => Promise<string> = async () => "") {
  const names: string[] = [];
  const pod = (): V1Pod => ({
    metadata: { name: "p", uid: "u" },
    spec: { containers: [], ephemeralContainers: names.map((name) => ({ name, image: "sync:1" })) },
    status: {
      ephemeralContainerStatuses: names.flatMap((name) => {
        const status = stateOf(name);
        return status ? { name, image: "", imageID: "", ready: false, restartCount: 0, ...status } : [];
      }),
    },
  });
  const add = async (name: string) => names.push(name);
  async function watch<Answer>(end: AbortSignal, visit: (pods: readonly V1Pod[]) => Answer | undefined) {
    for (;;) {
      const answer = visit([pod()]);
      if (answer !== undefined) return answer;
      end.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  /** As the next attempt finds it. */
  const place = () => ({ pod: pod(), wanted: { image: "sync:1" }, add, watch, readLog });
  return { names, place };
}

describe("a save in a pod", () => {
  const made = { containerID: "containerd://a", state: { waiting: {} } };
  const saved = { containerID: "containerd://b", state: { terminated: { exitCode: 0, message: "done" } } };
  const running = { containerID: "containerd://c", state: { running: {} } };
  const limits = { containerStartMs: 60, madeToStartedMs: 30, logAfterMs: 5, logEveryMs: 5 };
  const run = (place: ReturnType<typeof podWith>["place"], words: string[] = []) =>
    runSave(place(), new AbortController().signal, (word) => words.push(word), limits);

  it("is made by another container when one was made and never started", async () => {
    const { names, place } = podWith((name) => (name === "sync-1" ? made : saved));
    const words: string[] = [];
    expect(await run(place, words)).toEqual({ pod: "p", container: "sync-2", exitCode: 0, message: "done" });
    expect(names).toEqual(["sync-1", "sync-2"]);
    expect(words.at(-1)).toContain("made and never started");
  });
  it("waits for the same container while the node has not made it", async () => {
    const { names, place } = podWith(() => undefined);
    await expect(run(place)).rejects.toThrow("sync-1 does not start");
    expect(names).toEqual(["sync-1"]);
  });

  it("tells of each try that fails, and takes one container for a night without a store", async () => {
    let tries = 0;
    const log = async () => {
      const line = (number: number) =>
        JSON.stringify({ event: "save failed", try: number, reason: `the store is away (${number})` });
      return `${line(tries)}\n${line(++tries)}\n`;
    };
    let isBack = false;
    const { names, place } = podWith(() => (isBack ? saved : running), log);
    for (let attempt = 1; attempt <= 20; attempt++) {
      const before = tries;
      await expect(run(place)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/^the store is away .*sync-1 in p goes on trying/) as string,
      });
      // Each tells of a try that failed while it looked.
      expect(tries).toBeGreaterThan(before);
    }
    expect(names).toEqual(["sync-1"]);
    const last = run(place);
    isBack = true;
    expect(await last).toMatchObject({ container: "sync-1", exitCode: 0 });
  });
  it("is not told of again for a try that an attempt before has told of", async () => {
    const words = JSON.stringify({ event: "save failed", try: 3, reason: "away" });
    let looks = 0;
    let state = running as object;
    const { names, place } = podWith(
      () => state,
      async () => {
        if (++looks === 5) state = saved;
        return words;
      },
    );
    names.push("sync-1");
    expect(await run(place)).toMatchObject({ container: "sync-1", exitCode: 0 });
    expect(looks).toBeGreaterThanOrEqual(5);
  });
  it("is waited for where its log cannot be read", async () => {
    let looks = 0;
    let state = running as object;
    const { place } = podWith(
      () => state,
      async () => {
        if (++looks === 3) state = saved;
        throw new Error("forbidden");
      },
    );
    expect(await run(place)).toMatchObject({ exitCode: 0 });
  });
  it("waits with the reason, and adds no container, when many have ended without one", async () => {
    const killed = { state: { terminated: { exitCode: 137, reason: "OOMKilled", finishedAt: new Date() } } };
    const { names, place } = podWith(() => killed);
    for (let attempt = 1; attempt <= 3; attempt++) expect(await run(place)).toMatchObject({ exitCode: 137 });
    await expect(run(place)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^sync-3 ended with exit code 137: it took more memory .* added to p at 2.*Z$/,
      ) as string,
    });
    expect(names).toHaveLength(3);
  });
});
