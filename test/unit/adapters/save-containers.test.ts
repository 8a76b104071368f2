import { describe, expect, it } from "vitest";
import { endOfNewest, isMadeOnly, nextSaveAt, nextSaveName, runningSave } from "../../../adapters/save-containers.ts";
import { container, pod } from "./pods.ts";

describe("save containers", () => {
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
    expect(runningSave(pod({ ephemeralContainerStatuses: [stuck, ended] }, spec), { image: "image" })).toBeUndefined();
    expect(runningSave(pod({ ephemeralContainerStatuses: [stuck] }, spec), { image: "image" })).toBe("sync-2");
  });
  it("waits for a save that still runs rather than begin another", () => {
    const spec = { ephemeralContainers: [{ name: "sync-1" }, { name: "sync-2" }] };
    const ended = container("sync-1", { terminated: { exitCode: 1 } });
    expect(
      runningSave(pod({ ephemeralContainerStatuses: [ended, container("sync-2", { running: {} })] }, spec), {
        image: "image",
      }),
    ).toBe("sync-2");
    expect(runningSave(pod({ ephemeralContainerStatuses: [ended] }, spec), { image: "image" })).toBe("sync-2");
    expect(
      runningSave(
        pod(
          { ephemeralContainerStatuses: [ended, container("sync-2", { waiting: { reason: "ErrImageNeverPull" } })] },
          spec,
        ),
        { image: "image" },
      ),
    ).toBeUndefined();
  });
  it("takes no container of other work for its own", () => {
    const spec = { ephemeralContainers: [{ name: "sync-1", image: "image", args: ["rescue"] }] };
    const running = pod({ ephemeralContainerStatuses: [container("sync-1", { running: {} })] }, spec);
    expect(runningSave(running, { image: "image", args: ["rescue"] })).toBe("sync-1");
    expect(runningSave(running, { image: "image", args: ["save"] })).toBeUndefined();
  });
  it("waits for the image of one that has none yet, unless another image is wanted", () => {
    const spec = { ephemeralContainers: [{ name: "sync-1", image: "sync:1" }] };
    const waiting = (reason: string) =>
      pod({ ephemeralContainerStatuses: [container("sync-1", { waiting: { reason } })] }, spec);
    for (const reason of ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"]) {
      expect(runningSave(waiting(reason), { image: "sync:1" })).toBe("sync-1");
      expect(runningSave(waiting(reason), { image: "sync:2" })).toBeUndefined();
    }
    expect(runningSave(waiting("CreateContainerConfigError"), { image: "sync:1" })).toBeUndefined();
  });
  it("come after longer and longer pauses, so that a day of failures leaves tens of them", () => {
    const begin = Date.parse("2026-01-01T00:00:00Z");
    const day = begin + 86_400_000;
    const statuses: ReturnType<typeof container>[] = [];
    let now = begin;
    const failing = () =>
      pod(
        { ephemeralContainerStatuses: statuses },
        { ephemeralContainers: statuses.map(({ name }) => ({ name, image: "sync:1" })) },
      );
    for (; now < day; now = Math.max(now, nextSaveAt(failing(), {}).getTime())) {
      const terminated = { exitCode: 137, reason: "OOMKilled", finishedAt: new Date(now) };
      statuses.push(container(nextSaveName(failing()), { terminated }));
    }
    expect(statuses.length).toBeGreaterThan(20);
    expect(statuses.length).toBeLessThan(100);
    expect(endOfNewest(failing())).toBe(
      `sync-${statuses.length} ended with exit code 137: it took more memory than the pod has`,
    );
  });
  it("count those that never started by when the API server says that one was added", () => {
    const time = new Date("2026-01-01T00:00:00Z");
    const managedFields = [
      { time: new Date("2027-01-01T00:00:00Z"), subresource: "status" },
      { time, subresource: "ephemeralcontainers" },
    ];
    const names = ["sync-1", "sync-2", "sync-3", "sync-4"];
    const spec = { ephemeralContainers: names.map((name) => ({ name })) };
    const waiting = pod({ ephemeralContainerStatuses: names.map((name) => container(name, { waiting: {} })) }, spec);
    expect(nextSaveAt({ ...waiting, metadata: { managedFields } }, {}).getTime() - time.getTime()).toBe(4000);
    expect(nextSaveAt(pod({}), {})).toEqual(new Date(0));
    expect(nextSaveAt({ ...waiting, metadata: { managedFields } }, { args: ["reopen"] })).toEqual(new Date(0));
  });
});
