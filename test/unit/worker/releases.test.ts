import { describe, expect, it } from "vitest";
import { shouldBecomeCurrent } from "../../../worker/releases.ts";

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
