import type { TestProject } from "vitest/node";
import { stackEnvironment } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { loadedImages } from "../../tools/stack/up.ts";

/** For tests on Bun, which cannot bring the stack up: `npm test` has done it before, or `npm run stack -- up`. */
export function setup(project: TestProject): void {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  project.provide("stack", stackEnvironment(stack, loadedImages(stack)));
}
