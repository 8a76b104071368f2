import { createRoute, z } from "@hono/zod-openapi";
import { ReplError } from "../../domain/errors.ts";
import type { Registry } from "../../domain/ports.ts";
import { readManifest } from "../../domain/read-save.ts";
import type { SavedRepl } from "../../domain/repl.ts";
import type { SaveReads } from "../../domain/save-history.ts";
import { createSavePointer } from "../../domain/save-pointer.ts";
import { forRunners, runnerSessions, type RunnerSessionOptions } from "../middleware/runner-session.ts";
import { createRoutes, jsonBody, jsonContent, jsonOnly, problems } from "../openapi.ts";
import { replParams } from "../schemas.ts";
import {
  claimSchema,
  heldReplSchema,
  movedPointerSchema,
  podSchema,
  releaseSchema,
  savedReplSchema,
} from "../save-schemas.ts";

export interface SavePointerOptions extends RunnerSessionOptions {
  readonly registry: Pick<Registry, "read" | "update">;
  readonly store: SaveReads;
}

const readRoute = createRoute({
  ...forRunners,
  method: "get",
  path: "/{id}/save",
  summary: "The newest save, for who may save after it",
  request: { params: replParams, query: z.object({ pod: podSchema.optional() }) },
  responses: { 200: jsonContent(savedReplSchema, "The REPL and its newest save"), ...problems(400, 401, 404, 409) },
});

const claimRoute = createRoute({
  ...forRunners,
  method: "post",
  path: "/{id}/restore",
  summary: "From here on no other pod of the session can save",
  middleware: jsonOnly,
  request: { params: replParams, body: jsonBody(claimSchema) },
  responses: {
    200: jsonContent(savedReplSchema, "The save to restore"),
    202: jsonContent(heldReplSchema, "Another pod of the session holds the files; nothing has changed"),
    ...problems(400, 401, 404, 409),
  },
});

const filledRoute = createRoute({
  ...forRunners,
  method: "post",
  path: "/{id}/filled",
  summary: "The pod has restored every file: work may be lost with it from now on",
  middleware: jsonOnly,
  request: { params: replParams, body: jsonBody(z.object({ pod: podSchema })) },
  responses: { 204: { description: "It is noted" }, ...problems(400, 401, 404, 409) },
});

const releaseRoute = createRoute({
  ...forRunners,
  method: "post",
  path: "/{id}/release",
  summary: "The pod has saved all that can be saved, and another one of the session may begin",
  middleware: jsonOnly,
  request: { params: replParams, body: jsonBody(releaseSchema) },
  responses: { 204: { description: "It may" }, ...problems(400, 401, 404, 409) },
});

const moveRoute = createRoute({
  ...forRunners,
  method: "put",
  path: "/{id}/save",
  summary: "Makes a save whose manifest is stored the newest one",
  middleware: jsonOnly,
  request: { params: replParams, body: jsonBody(movedPointerSchema) },
  responses: { 204: { description: "It is the newest" }, ...problems(400, 401, 404, 409) },
});

/** For sync containers where the registry is a database, which no pod reaches: its pointers to the newest saves. */
export function savePointerRoutes({ registry, store, ...runners }: SavePointerOptions) {
  const pointer = createSavePointer(registry);
  const sessionOf = runnerSessions(runners);
  const answer = ({ id, owner, lastSave }: SavedRepl) => ({ id, owner, ...(lastSave ? { lastSave } : {}) });

  return createRoutes()
    .openapi(readRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      return c.json(answer(await pointer.read({ session, pod: c.req.valid("query").pod })), 200);
    })
    .openapi(claimRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      const { pod, whenFree } = c.req.valid("json");
      const claimed = await (whenFree ? pointer.claimWhenFree(session, pod) : pointer.claim(session, pod));
      return "heldBy" in claimed ? c.json(claimed, 202) : c.json(answer(claimed), 200);
    })
    .openapi(releaseRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      const { pod, notSaved } = c.req.valid("json");
      await pointer.release({ session, pod }, notSaved);
      return c.body(null, 204);
    })
    .openapi(filledRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      await pointer.filled({ session, pod: c.req.valid("json").pod });
      return c.body(null, 204);
    })
    .openapi(moveRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      const { pod, parent, generation, version } = c.req.valid("json");
      // What the record will say comes from what is stored, whatever the request says.
      const save = await readManifest(store, session.replId, generation, version);
      if (save?.manifest.sessionId !== session.id || save.manifest.parent !== parent)
        throw new ReplError("conflict", `No save ${generation} of this session after ${parent} is stored.`);
      await pointer.move({ session, pod }, parent, save.summary);
      return c.body(null, 204);
    });
}
