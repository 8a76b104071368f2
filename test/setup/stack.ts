import type { TestProject } from "vitest/node";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { bringUp } from "../../tools/stack/up.ts";
import { setup as provideRunningStack } from "./running-stack.ts";

/** Brings the stack up unless it is; `npm test` names one of its own and takes it down again. */
export async function setup(project: TestProject): Promise<void> {
  await bringUp(readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev"), () => {});
  provideRunningStack(project);
}
