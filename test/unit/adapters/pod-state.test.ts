import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { describePod, failureOf, hasRun, hopelessReason, isReady, livePod } from "../../../adapters/pod-state.ts";
import { container, pod } from "./pods.ts";

describe("pod state", () => {
  it("takes no pod that is on its way out", () => {
    const leaving: V1Pod = { metadata: { deletionTimestamp: new Date() } };
    expect(livePod([leaving, pod({ phase: "Failed" }), pod({ phase: "Succeeded" })])).toBeUndefined();
    expect(livePod([leaving, pod({ phase: "Running" })])?.status?.phase).toBe("Running");
  });
  it("says why a pod failed", () => {
    const evicted = pod(
      { phase: "Failed", reason: "Evicted", message: "The node was low on disk.", startTime: new Date() },
      { nodeName: "n1" },
    );
    expect(failureOf(evicted)).toBe("p on node n1: Evicted, The node was low on disk.");
  });
  it("is ready only when Kubernetes says so", () => {
    expect(isReady(pod({ conditions: [{ type: "Ready", status: "True" }] }))).toBe(true);
    expect(isReady(pod({ conditions: [{ type: "Ready", status: "False" }] }))).toBe(false);
    expect(isReady(pod({}))).toBe(false);
  });
  it("has run from the moment a container runs, and for good", () => {
    const restore = (state: object, more?: object) =>
      pod({ initContainerStatuses: [container("restore", state, more)] });
    expect(hasRun(restore({ waiting: {} }))).toBe(false);
    expect(hasRun(restore({ waiting: {} }, { lastState: { terminated: { reason: "StartError" } } }))).toBe(false);
    expect(hasRun(restore({ running: {} }))).toBe(true);
    expect(hasRun(restore({ waiting: {} }, { lastState: { terminated: { exitCode: 1 } } }))).toBe(true);
    expect(hasRun(pod({ containerStatuses: [container("runner", { terminated: { exitCode: 0 } })] }))).toBe(true);
  });
  it("says why it will never be ready", () => {
    expect(
      hopelessReason(
        pod({
          containerStatuses: [container("runner", { waiting: { reason: "ErrImageNeverPull", message: "no image" } })],
        }),
      ),
    ).toBe("container runner cannot start: ErrImageNeverPull (no image)");
    expect(
      hopelessReason(pod({ containerStatuses: [container("runner", { waiting: { reason: "ContainerCreating" } })] })),
    ).toBeUndefined();
    const failed = { terminated: { exitCode: 1, message: '{"error":"a.txt is missing"}' } };
    expect(
      hopelessReason(
        pod({ initContainerStatuses: [container("restore", {}, { restartCount: 2, lastState: failed })] }),
      ),
    ).toContain("a.txt is missing");
    expect(
      hopelessReason(
        pod({ initContainerStatuses: [container("restore", {}, { restartCount: 1, lastState: failed })] }),
      ),
    ).toBeUndefined();
  });
  it("is put in words", () => {
    expect(describePod(undefined)).toBe("no pod yet");
    expect(describePod(pod({ conditions: [{ type: "PodScheduled", status: "False", message: "no room" }] }))).toBe(
      "not scheduled: no room",
    );
    expect(describePod(pod({ initContainerStatuses: [container("restore", { running: {} })] }))).toBe("runner starts");
  });
});
