import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { waitForPod, type StartPlace } from "../../../adapters/wait-for-pod.ts";
import { podThatIs } from "../../fakes/pods.ts";

const waiting = (name: string, reason: string): V1Pod => ({
  metadata: { name: "p" },
  status: {
    phase: "Pending",
    startTime: new Date(),
    initContainerStatuses: [
      { name, image: "", imageID: "", ready: false, restartCount: 0, state: { waiting: { reason } } },
    ],
  },
});
const ready: V1Pod = { ...podThatIs("running", "p") };
ready.status = { ...ready.status, conditions: [{ type: "Ready", status: "True" }] };

/** A cluster that shows these pods one after the other. */
function placeWith(...shown: readonly V1Pod[]): StartPlace {
  return {
    async watch(visit) {
      for (const pod of shown) if (visit([pod])) return true;
      throw new Error("nothing more is shown");
    },
    remind: async () => {},
    refusal: async () => undefined,
  };
}

describe("the wait for a pod", () => {
  it("outlasts a registry that is away for a moment, and tells of it", async () => {
    const words: string[] = [];
    const place = placeWith(
      waiting("restore", "ContainerCreating"),
      waiting("restore", "ErrImagePull"),
      waiting("restore", "ImagePullBackOff"),
      ready,
    );
    await waitForPod(place, (state) => words.push(state));
    expect(words).toEqual([
      "restore waits: ContainerCreating",
      "restore waits: ErrImagePull",
      "restore waits: ImagePullBackOff",
      "ready",
    ]);
  });

  it.each(["ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"])(
    "ends at once with %s",
    async (reason) => {
      await expect(waitForPod(placeWith(waiting("restore", reason), ready), () => {})).rejects.toMatchObject({
        code: "unavailable",
        message: `container restore cannot start: ${reason}`,
      });
    },
  );
});
