import { describe, expect, it } from "vitest";
import { findWork } from "../../../adapters/find-work.ts";
import { podStates, podThatIs, type PodState } from "../../fakes/pods.ts";

const over = new Set<PodState>(["evicted", "finished", "refused"]);
const beingEnded = new Set<PodState>(["ending before its start", "ending", "ending in back-off"]);
const between = new Set<PodState>(["on a node that rebooted", "ended"]);
/** The node starts what is added to it, also where its first container fails for good. */
const takesContainers = new Set<PodState>(["running", "in back-off"]);
const withoutRun = new Set<PodState>(["not scheduled", "starting", "without a start", "ending before its start"]);
const words = (found: ReturnType<typeof findWork>) =>
  "nothing" in found ? found.nothing : `save ${found.pod.metadata?.name}`;

describe("the pod with work", () => {
  const pairs = podStates.flatMap((old) => podStates.map((next) => [old, next] as const));

  it("decides, whatever the other pod is", () => {
    for (const [old, next] of pairs) {
      const found = words(findWork([podThatIs(next, "next"), podThatIs(old, "old")], (pod) => pod === "old"));
      const why = `old is ${old}, next is ${next}`;
      if (beingEnded.has(old)) expect(found, why).toBe("ending");
      else if (takesContainers.has(old) || old === "without a start") expect(found, why).toBe("save old");
      else if (!over.has(old)) expect(found, why).toBe("between lives");
      // It is gone: who follows it may have claimed meanwhile, and nothing is waited for.
      else expect(found, why).toBe(next === "running" ? "save next" : "gone");
    }
  });

  it("is nobody's when none may hold any, and then nothing is waited for", () => {
    for (const [old, next] of pairs) {
      const found = words(findWork([podThatIs(old, "old"), podThatIs(next, "next")], () => false));
      const why = `old is ${old}, next is ${next}`;
      if (old === "running") expect(found, why).toBe("save old");
      else if (next === "running") expect(found, why).toBe("save next");
      else expect(["gone", "never filled"], why).toContain(found);
    }
  });

  it.each(podStates)("may be any that has run where nobody is named, also one that is %s", (state) => {
    const found = words(findWork([podThatIs(state, "p")], undefined));
    if (takesContainers.has(state)) expect(found).toBe("save p");
    else if (between.has(state)) expect(found).toBe("between lives");
    else if (state === "ending" || state === "ending in back-off") expect(found).toBe("ending");
    else if (over.has(state) || state === "ending before its start") expect(found).toBe("gone");
    else expect([found, withoutRun.has(state)]).toEqual(["never filled", true]);
  });

  it("is looked for in vain where there is no pod", () => {
    expect(findWork([], undefined)).toEqual({ nothing: "gone", detail: "the session has no pod" });
  });

  it("is told of in words: since when it ends, on which node, what to do when that is dead, and why it failed", () => {
    expect(findWork([podThatIs("ending", "p")], undefined)).toMatchObject({
      pod: "p",
      detail: expect.stringMatching(
        /^p on node n1 has been ending since 2026-01-01T00:00:00.000Z .*kubectl delete pod p --force/,
      ) as string,
    });
    expect(findWork([podThatIs("on a node that rebooted", "p")], undefined)).toMatchObject({
      pod: "p",
      detail: expect.stringMatching(/^no container of p on node n1 runs now \(restore waits: /) as string,
    });
    expect(findWork([podThatIs("evicted", "p")], undefined)).toMatchObject({
      nothing: "gone",
      pod: "p",
      detail: "p on node n1: Evicted, the node says Evicted",
    });
    expect(findWork([podThatIs("refused", "p")], undefined)).toMatchObject({ detail: "the session has no pod" });
  });
});
