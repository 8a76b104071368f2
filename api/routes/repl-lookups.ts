import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Repl } from "../../domain/repl.ts";
import type { Env } from "../env.ts";
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

/** A short text goes out in one piece with its headers; of a long one, encoding costs more each time than a piece. */
type Json = string | Uint8Array<ArrayBuffer>;
const shortText = 4096;

/** The look-ups: one round trip to Redis, and JSON that is made and encoded once as long as nothing changes. */
export function replLookUps(reader: ReplReader) {
  const rendered = new WeakMap<object, Json>();
  const encoder = new TextEncoder();

  function render<Value extends object>(value: Value, toJson: (value: Value) => unknown): Json {
    const known = rendered.get(value);
    if (known) return known;
    const text = JSON.stringify(toJson(value));
    const json = text.length > shortText ? encoder.encode(text) : text;
    rendered.set(value, json);
    return json;
  }

  const answer = (c: Context<Env>, json: Json) => c.body(json, 200, { "content-type": "application/json" }) as never;

  const routes = createRoutes().openapi(listRoute, async (c) => {
    const repls = await reader.list(c.get("user"));
    return answer(
      c,
      render(repls, (all: readonly Repl[]) => all.map(replJson)),
    );
  });

  // Any id is taken, so nothing is to be checked: this route is described as all are, and served without its schema.
  const { request: _, ...served } = getRoute;
  routes.openAPIRegistry.registerPath(getRoute);
  return routes.openapi({ ...served, hide: true }, async (c) => {
    const repl = await reader.get(c.get("user"), c.req.param("id"));
    return answer(c, render(repl, replJson));
  });
}
