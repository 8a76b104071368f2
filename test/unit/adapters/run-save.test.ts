import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { runSave } from "../../../adapters/run-save.ts";

/** A pod whose node does with save containers as it is told. */
function podWith(stateOf: (name: string) => object | undefined) {
  const names: string[] = [];
  const pod = (): V1Pod => ({
    metadata: { name: "p", uid: "u" },
    spec: { containers: [], ephemeralContainers: names.map((name) => ({ name })) },
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
  return { names, place: { pod: pod(), add, watch } };
}

describe("a save in a pod", () => {
  const made = { containerID: "containerd://a", state: { waiting: {} } };
  const saved = { containerID: "containerd://b", state: { terminated: { exitCode: 0, message: "done" } } };
  const limits = { containerStartMs: 60, madeToStartedMs: 30 };
  const run = (place: ReturnType<typeof podWith>["place"], words: string[] = []) =>
    runSave(place, new AbortController().signal, (word) => words.push(word), limits);

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
});
