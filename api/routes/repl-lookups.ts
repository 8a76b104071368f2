import { createRoute, z } from "@hono/zod-openapi";
import type { Repl } from "../../domain/repl.ts";
import { createRoutes, jsonContent, problems, sessionSecurity } from "../openapi.ts";
import type { ReplReader } from "../repl-reader.ts";
import { replJson, replParams, replSchema } from "../schemas.ts";

const tags = ["REPLs"];

const listRoute = createRoute({
  method: "get",
  path: "/",
  tags,
  summary: "All your REPLs, newest first",
  security: sessionSecurity,
  responses: { 200: jsonContent(z.array(replSchema), "Empty when there is none"), ...problems(401) },
});

const getRoute = createRoute({
  method: "get",
  path: "/{id}",
  tags,
  summary: "One REPL",
  security: sessionSecurity,
  request: { params: replParams },
  responses: { 200: jsonContent(replSchema, "The REPL"), ...problems(401, 404) },
});

/** The look-ups: one round trip to Redis, and JSON that is made once as long as nothing changes. */
export function replLookUps(reader: ReplReader) {
  const rendered = new WeakMap<readonly Repl[], string>();

  function render(repls: readonly Repl[]): string {
    const known = rendered.get(repls);
    if (known !== undefined) return known;
    const text = JSON.stringify(repls.map(replJson));
    rendered.set(repls, text);
    return text;
  }

  return createRoutes()
    .openapi(listRoute, async (c) => {
      const text = render(await reader.list(c.get("user")));
      return c.body(text, 200, { "content-type": "application/json" }) as never;
    })
    .openapi(getRoute, async (c) => c.json(replJson(await reader.get(c.get("user"), c.req.valid("param").id)), 200));
}
