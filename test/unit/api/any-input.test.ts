import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startApi } from "../../fakes/api.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc.constantFrom(
    "\u0000",
    "../../etc/passwd",
    "%2e%2e%2f",
    "\r\nSet-Cookie: x=1",
    "__proto__",
    "constructor",
    "٠",
    "\u202e",
    "repl-",
  ),
);
const anyBody = fc.oneof(
  fc.json(),
  fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.stringify({ template: "node", name: value })),
  fc
    .jsonValue({ maxDepth: 6 })
    .map((value) => JSON.stringify({ template: value, name: "x", login: value, code: value })),
  anyText,
  fc.constantFrom("", "{", "null", `{"__proto__":{"template":"node"}}`, `${"[".repeat(30_000)}${"]".repeat(30_000)}`),
);
/** What a header may hold at all; the server refuses the rest before us. */
const anyHeader = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
});
const routes = [
  ["GET", "/api/repl"],
  ["GET", "/api/repl/:id"],
  ["POST", "/api/repl/create"],
  ["POST", "/api/repl/new"],
  ["POST", "/api/repl/session/:id"],
  ["GET", "/api/repl/session/:id"],
  ["DELETE", "/api/repl/session/:id"],
  ["DELETE", "/api/repl/:id"],
  ["GET", "/api/repl/:id/events"],
  ["POST", "/api/runner/:id/heartbeat"],
  ["DELETE", "/api/runner/:id"],
  ["POST", "/auth/dev"],
  ["POST", "/auth/github"],
  ["GET", "/auth/github"],
  ["GET", "/auth/github/callback"],
  ["GET", "/auth/me"],
  ["GET", "/auth/status"],
  ["POST", "/auth/logout"],
] as const;

describe("whatever is sent", () => {
  it("is answered with a problem that shows nothing internal, or is right", async () => {
    const { call, person } = await startApi();
    const owner = await person("owner");
    const { id } = await owner.create("private name");
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes),
        fc.oneof(anyText, fc.constant(id)),
        anyBody,
        fc.record(
          {
            authorization: fc.oneof(
              anyHeader,
              anyHeader.map((text) => `Bearer ${text}`),
            ),
            cookie: fc.oneof(
              anyHeader,
              anyHeader.map((text) => `devex_session=${text}; state=x`),
            ),
            "idempotency-key": anyHeader,
            prefer: anyHeader,
            "last-event-id": anyHeader,
            "content-type": fc.oneof(fc.constant("application/json"), anyHeader),
            origin: anyHeader,
          },
          { requiredKeys: [] },
        ),
        anyText,
        async ([method, path], text, body, headers, query) => {
          const { as } = await person("stranger");
          const target = `${path.replace(":id", encodeURIComponent(text.toWellFormed()))}?code=${encodeURIComponent(query.toWellFormed())}`;
          const send = headers.authorization === undefined ? as : call;
          const response = await send(method, target, method === "GET" ? undefined : body, headers);
          expect(response.status, await response.clone().text()).toBeLessThan(500);
          if (response.headers.get("content-type")?.startsWith("text/event-stream")) return;
          const answer = await response.text();
          expect(answer).not.toContain("private name");
          expect(answer).not.toMatch(/\bat .*\.ts:\d+|node_modules/);
          if (response.status >= 400)
            expect(JSON.parse(answer)).toMatchObject({ status: response.status, detail: expect.any(String) as string });
        },
      ),
      { numRuns: 300 },
    );
  });
});
