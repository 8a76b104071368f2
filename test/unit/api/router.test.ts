import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { createRouter } from "../../../api/router.ts";

function createApp() {
  return new Hono({ router: createRouter() })
    .get("/repl/session/:id", (c) => c.text(`session ${c.req.param("id")}`))
    .get("/repl/:id/saves", (c) => c.text(`saves of ${c.req.param("id")}`))
    .get("/repl/:id", (c) => c.text(`repl ${c.req.param("id")}`))
    .delete("/repl/:id", (c) => c.text(`gone ${c.req.param("id")}`));
}

describe("the router that remembers", () => {
  it.each([
    ["GET", "/repl/a", "repl a"],
    ["GET", "/repl/b", "repl b"],
    ["DELETE", "/repl/a", "gone a"],
    ["GET", "/repl/session/a", "session a"],
    ["GET", "/repl/a/saves", "saves of a"],
    ["GET", `/repl/${"x".repeat(200)}`, `repl ${"x".repeat(200)}`],
    ["GET", "/repl/%41", "repl A"],
  ])("answers %s %s the same each time", async (method, path, answer) => {
    const app = createApp();
    for (let time = 0; time < 3; time++) {
      // Others in between: what was found belongs to one path and method.
      await app.request("/repl/other");
      expect(await (await app.request(path, { method })).text()).toBe(answer);
    }
  });

  it("finds what was added after it was asked", async () => {
    const app = createApp();
    expect((await app.request("/late")).status).toBe(404);
    app.get("/late", (c) => c.text("here"));
    expect((await app.request("/late")).status).toBe(200);
  });
});
