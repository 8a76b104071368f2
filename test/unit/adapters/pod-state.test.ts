import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import {
  isMadeOnly,
  describePod,
  failureOf,
  hasRun,
  hopelessReason,
  isReady,
  livePod,
  nextSaveName,
  runningSave,
} from "../../../adapters/pod-state.ts";

const pod = (status: V1Pod["status"], spec?: Partial<V1Pod["spec"]>): V1Pod => ({
  metadata: { name: "p" },
  spec: { containers: [], ...spec },
  status: status ?? {},
});
const container = (name: string, state: object, more: object = {}) => ({
  name,
  state,
  image: "",
  imageID: "",
  ready: false,
  restartCount: 0,
  ...more,
});

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
  it("uses each save container's name once", () => {
    expect(nextSaveName(pod({}))).toBe("sync-1");
    expect(
      nextSaveName(pod({}, { ephemeralContainers: [{ name: "sync-1" }, { name: "sync-9" }, { name: "debugger" }] })),
    ).toBe("sync-10");
  });
  it("knows a container that was made and never started, as a kubelet that crashed in between leaves it", () => {
    const statuses = (state: object, containerID?: string) =>
      pod({ ephemeralContainerStatuses: [container("sync-1", state, containerID ? { containerID } : {})] });
    expect(isMadeOnly(statuses({ waiting: {} }, "containerd://a"), "sync-1")).toBe(true);
    expect(isMadeOnly(statuses({ waiting: { reason: "PodInitializing" } }), "sync-1")).toBe(false);
    expect(isMadeOnly(statuses({ running: {} }, "containerd://a"), "sync-1")).toBe(false);
    expect(isMadeOnly(statuses({ terminated: { exitCode: 0 } }, "containerd://a"), "sync-1")).toBe(false);
    expect(isMadeOnly(pod({}), "sync-1")).toBe(false);
  });
  it("goes back to no save that was given up for a newer one", () => {
    const spec = { ephemeralContainers: [{ name: "sync-1" }, { name: "sync-2" }] };
    const [stuck, ended] = [
      container("sync-1", { waiting: {} }, { containerID: "containerd://a" }),
      container("sync-2", { terminated: { exitCode: 1 } }),
    ];
    expect(runningSave(pod({ ephemeralContainerStatuses: [stuck, ended] }, spec))).toBeUndefined();
    expect(runningSave(pod({ ephemeralContainerStatuses: [stuck] }, spec))).toBe("sync-2");
  });
  it("waits for a save that still runs rather than begin another", () => {
    const spec = { ephemeralContainers: [{ name: "sync-1" }, { name: "sync-2" }] };
    const ended = container("sync-1", { terminated: { exitCode: 1 } });
    expect(runningSave(pod({ ephemeralContainerStatuses: [ended, container("sync-2", { running: {} })] }, spec))).toBe(
      "sync-2",
    );
    expect(runningSave(pod({ ephemeralContainerStatuses: [ended] }, spec))).toBe("sync-2");
    expect(
      runningSave(
        pod(
          { ephemeralContainerStatuses: [ended, container("sync-2", { waiting: { reason: "ErrImageNeverPull" } })] },
          spec,
        ),
      ),
    ).toBeUndefined();
  });
});
