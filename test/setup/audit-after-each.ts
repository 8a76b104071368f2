import { afterEach, inject, vi } from "vitest";
import type { ReplFacts } from "../../domain/invariants.ts";
import { audit } from "../../tools/audit.ts";

/** Nothing of a test is on its way for long when it has ended. */
const graceSeconds = 1;
const patience = { timeout: 60_000, interval: 500 };

/** Contract tests leave records and files of their own in the bucket. */
const isOfTests = ({ record, broken, left }: ReplFacts) =>
  record?.owner.login.startsWith("t-") ?? left?.prefixes.some((prefix) => prefix.startsWith("t-")) ?? !broken;

/** After each end-to-end test every invariant holds of every REPL. */
afterEach(async () => {
  const { environment } = inject("worker");
  await vi.waitFor(async () => {
    const found = await audit(environment, graceSeconds, isOfTests);
    if (found.length > 0) throw new Error(`Not every invariant holds after this test:\n${found.join("\n")}`);
  }, patience);
}, patience.timeout * 2);
