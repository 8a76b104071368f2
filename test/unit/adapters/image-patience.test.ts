import type { V1Pod } from "@kubernetes/client-node";
import { beforeEach, describe, expect, it } from "vitest";
import { createImagePatience } from "../../../adapters/image-patience.ts";
import { describePod, hopelessReason } from "../../../adapters/pod-state.ts";

const taken = Date.parse("2026-01-01T00:00:00Z");

function podThatWaits(reason: string, container = "restore"): V1Pod {
  const status = {
    name: container,
    image: "",
    imageID: "",
    ready: false,
    restartCount: 0,
    state: { waiting: { reason, message: "no such host" } },
  };
  return { status: { phase: "Pending", startTime: new Date(taken), initContainerStatuses: [status] } };
}

describe("a pod whose image cannot be pulled", () => {
  let now: number;
  beforeEach(() => void (now = taken));
  const words = "container restore cannot start: ImagePullBackOff (no such host)";

  it("is waited for, and shown as what it waits for, for a minute", () => {
    const isWithoutImage = createImagePatience(() => now);
    expect(isWithoutImage(podThatWaits("ContainerCreating"))).toBeUndefined();
    // A long pull that fails at its end has its minute too.
    now = taken + 300_000;
    for (const reason of ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"]) {
      expect(isWithoutImage(podThatWaits(reason))).toBeUndefined();
      expect(hopelessReason(podThatWaits(reason))).toBeUndefined();
      expect(describePod(podThatWaits(reason))).toBe(`restore waits: ${reason} (no such host)`);
      now += 19_000;
    }
    now += 3000;
    expect(isWithoutImage(podThatWaits("ImagePullBackOff"))).toBe(words);
  });

  it("has a minute again after it had an image", () => {
    const isWithoutImage = createImagePatience(() => now);
    expect(isWithoutImage(podThatWaits("ErrImagePull"))).toBeUndefined();
    now += 59_000;
    expect(isWithoutImage(podThatWaits("ContainerCreating"))).toBeUndefined();
    now += 59_000;
    expect(isWithoutImage(podThatWaits("ErrImagePull"))).toBeUndefined();
  });

  it("is not waited for anew by the next attempt", () => {
    now = taken + 61_000;
    expect(createImagePatience(() => now)(podThatWaits("ImagePullBackOff"))).toBe(words);
    now = taken + 59_000;
    expect(createImagePatience(() => now)(podThatWaits("ImagePullBackOff"))).toBeUndefined();
  });
});
