import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { workflowBundle } from "../../tools/image-contents.ts";
import { prepareTestServer } from "../../tools/test-server.ts";

/** Bundles the workflows as the image has them, once for all files, and has the time-skipping server ready. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "devex-bundle-"));
  const file = join(folder, "workflows.js");
  writeFileSync(file, await workflowBundle());
  project.provide("workflowBundle", file);
  project.provide("testServer", await prepareTestServer());
  return () => rmSync(folder, { recursive: true, force: true });
}
