import type { TestProject } from "vitest/node";
import { stackEnvironment } from "../../tools/stack/environment.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { bringUp, loadedImages } from "../../tools/stack/up.ts";

/** Brings the stack up unless it is; `npm test` names one of its own and takes it down again. */
export async function setup(project: TestProject): Promise<void> {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  await bringUp(stack, () => {});
  project.provide("stack", stackEnvironment(stack, loadedImages(stack)));
}
