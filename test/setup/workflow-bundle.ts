import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import type { TestProject } from "vitest/node";
import { prepareTestServer } from "../../tools/test-server.ts";
import { workflowsPath } from "../../worker/create-worker.ts";

/** Bundles the workflows once for all files, and has the time-skipping server ready. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "devex-bundle-"));
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger("WARN") });
  const file = join(folder, "workflows.js");
  writeFileSync(file, code);
  project.provide("workflowBundle", file);
  project.provide("testServer", await prepareTestServer());
  return () => rmSync(folder, { recursive: true, force: true });
}
