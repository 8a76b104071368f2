import { expect, it } from "vitest";
import { fuzz } from "../../tools/fuzz.ts";
import { apiUrl } from "./flow.ts";

it("answers whatever schemathesis sends as documented, and never with a 5xx", { timeout: 600_000 }, async () => {
  expect(await fuzz(apiUrl(), { examples: 20 })).toBe(true);
});
