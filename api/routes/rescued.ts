import { createRoute, z } from "@hono/zod-openapi";
import { listRescued, type RescuedStore } from "../../domain/rescue.ts";
import { createRoutes, jsonContent, problems, sessionSecurity } from "../openapi.ts";
import { rescuedSchema } from "../save-schemas.ts";

const listRoute = createRoute({
  tags: ["Saves"],
  security: sessionSecurity,
  method: "get",
  path: "/",
  summary: "What was saved aside of your sessions that the system had lost",
  description:
    "Create a REPL with one of them: `POST /api/repl/create` with `from: {replId, sessionId}`, a `template` and a `name`.",
  responses: { 200: jsonContent(z.array(rescuedSchema), "Newest first; most people have none"), ...problems(401) },
});

/** Rescued workspaces, for their owners. */
export function rescuedRoutes({ store }: { readonly store: RescuedStore }) {
  return createRoutes().openapi(listRoute, async (c) => {
    const rescued = await listRescued(store, c.get("user").id);
    const answers = rescued.map(({ replId, sessionId, save: { files, bytes, savedAt } }) => {
      return { replId, sessionId, files, bytes, savedAt };
    });
    return c.json(answers, 200);
  });
}
