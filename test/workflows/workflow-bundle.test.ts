import { expect, it } from "vitest";
import { workflowBundle } from "../../tools/image-contents.ts";

it("the workflows' bundle is the same each time, and does not say where it was made", async () => {
  const bundle = await workflowBundle();
  expect(await workflowBundle()).toBe(bundle);
  expect(bundle).toContain("createRepl");
  expect(bundle).not.toContain(process.cwd());
});
