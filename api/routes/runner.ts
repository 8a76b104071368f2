import { createRoute } from "@hono/zod-openapi";
import { ReplError } from "../../domain/errors.ts";
import { errorEvent, saveEvent } from "../../domain/events.ts";
import type { Registry, ReplDirectory, ReplEvents } from "../../domain/ports.ts";
import type { Metrics } from "../metrics.ts";
import { forRunners, runnerSessions, type RunnerSessionOptions } from "../middleware/runner-session.ts";
import { createRoutes, jsonBody, jsonContent, jsonOnly, problems } from "../openapi.ts";
import type { ReplReader } from "../repl-reader.ts";
import type { ReplWorkflows } from "../repl-workflows.ts";
import { closeAnswerSchema, replParams, runnerReportSchema } from "../schemas.ts";
import { closeRepl } from "./repl-commands.ts";

export interface RunnerRoutesOptions extends RunnerSessionOptions {
  readonly directory: Pick<ReplDirectory, "touch" | "activeSession" | "list">;
  readonly registry: Pick<Registry, "read" | "update">;
  readonly events: Pick<ReplEvents, "publish" | "follow">;
  readonly metrics: Pick<Metrics, "observeUnsaved">;
  readonly reader: ReplReader;
  readonly workflows: ReplWorkflows;
}

const heartbeatRoute = createRoute({
  ...forRunners,
  method: "post",
  path: "/{id}/heartbeat",
  summary: "The runner lives, and this is what people do there",
  middleware: jsonOnly,
  request: { params: replParams, body: jsonBody(runnerReportSchema) },
  responses: { 204: { description: "Noted" }, ...problems(400, 401, 409) },
});

const closeRoute = createRoute({
  ...forRunners,
  method: "delete",
  path: "/{id}",
  summary: "The runner's wish to be closed, in the same way as its owner closes it",
  request: { params: replParams },
  responses: { 200: jsonContent(closeAnswerSchema, "Saved and closed"), ...problems(401, 409) },
});

/** What a session's own runner may ask for. */
export function runnerRoutes(options: RunnerRoutesOptions) {
  const { directory, registry, events, metrics, reader, limits } = options;
  const sessionOf = runnerSessions(options);

  const ended = () => new ReplError("conflict", "This session is over: another one has begun, or none runs.");

  return createRoutes()
    .openapi(heartbeatRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      // A report can cost a look into the registry.
      await limits.countUser(c, `runner of ${session.userId}`);
      const report = c.req.valid("json");
      const known = (await directory.list(session.userId)).find(({ id }) => id === session.replId);
      // The report says when to look, and the registry what there is.
      const isNewSave = (report.save?.lastSave?.generation ?? 0) > (known?.lastSave?.generation ?? 0);
      const record = isNewSave ? await registry.read(session.userId, session.replId) : undefined;
      if (!(await directory.touch(session, report, record))) throw ended();
      if (record?.lastSave) events.publish(session.replId, saveEvent(record.lastSave));
      const reason = report.save?.unsaved?.reason;
      if (reason && reason !== known?.unsaved?.reason)
        events.publish(session.replId, errorEvent(`A checkpoint failed and is tried again: ${reason}`));
      metrics.observeUnsaved(report.save?.unsaved);
      return c.body(null, 204);
    })
    .openapi(closeRoute, async (c) => {
      const session = await sessionOf(c, c.req.valid("param").id);
      const current = await directory.activeSession(session.userId, session.replId);
      if (current?.id !== session.id) throw ended();
      const repl = await reader.get({ id: session.userId, login: "" }, session.replId);
      return c.json(await closeRepl(options, repl), 200);
    });
}
