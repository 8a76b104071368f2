import { createRoute, z } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import type { Log, Logger } from "../config/logger.ts";
import { ReplError } from "../domain/errors.ts";
import type { PublishedTemplate } from "../domain/template.ts";
import type { Metrics } from "./metrics.ts";
import { commonHeaders } from "./middleware/common-headers.ts";
import { crossOrigin } from "./middleware/cross-origin.ts";
import { observeRequests } from "./middleware/observe-requests.ts";
import { requireSession } from "./middleware/require-session.ts";
import { traceRequests } from "./middleware/trace-requests.ts";
import { createRoutes, jsonContent, problems } from "./openapi.ts";
import { problem } from "./problem.ts";
import { authRoutes, type AuthOptions } from "./routes/auth.ts";
import { docsRoutes } from "./routes/docs.ts";
import { healthRoutes, type Checks } from "./routes/health.ts";
import { pageRoutes, type PageOptions } from "./routes/page.ts";
import { replCommands, type ReplCommandsOptions } from "./routes/repl-commands.ts";
import { replEvents, type ReplEventsOptions } from "./routes/repl-events.ts";
import { replLookUps } from "./routes/repl-lookups.ts";
import { rescuedRoutes } from "./routes/rescued.ts";
import { replSaves, type ReplSavesOptions } from "./routes/repl-saves.ts";
import { runnerRoutes, type RunnerRoutesOptions } from "./routes/runner.ts";
import { savePointerRoutes, type SavePointerOptions } from "./routes/save-pointer.ts";
import { wellKnownRoutes, type IssuerDocuments } from "./routes/well-known.ts";
import { createRouter } from "./router.ts";
import { sessionCookie } from "./sessions.ts";
import { limitsSchema, templateJson, templateSchema } from "./schemas.ts";

export interface AppOptions
  extends
    AuthOptions,
    ReplCommandsOptions,
    ReplEventsOptions,
    ReplSavesOptions,
    RunnerRoutesOptions,
    SavePointerOptions {
  readonly checks: Checks;
  readonly issuer?: IssuerDocuments | undefined;
  readonly metrics: Metrics;
  /** Version and build of this API. */
  readonly release: string;
  readonly logger: Logger;
  /** For the one line of each request, which holds no secret. */
  readonly logRequest: Log;
  readonly templates: readonly PublishedTemplate[];
  /** Of one user. */
  readonly quota: z.infer<typeof limitsSchema>;
  /** The built page; without it the API has none. */
  readonly page?: PageOptions | undefined;
  /** Whether each request is told to a collector. */
  readonly isTraced?: boolean;
}

/** The typed client for this API: `hc<AppType>(baseUrl)` from hono/client. */
export type AppType = ReturnType<typeof createApp>;

const maximumBodyBytes = 64 * 1024;

const templatesRoute = createRoute({
  method: "get",
  path: "/api/templates",
  tags: ["REPLs"],
  summary: "What a REPL can start from",
  responses: { 200: jsonContent(z.array(templateSchema), "All templates"), ...problems() },
});

const limitsRoute = createRoute({
  method: "get",
  path: "/api/limits",
  tags: ["REPLs"],
  summary: "How many REPLs one user can have",
  responses: { 200: jsonContent(limitsSchema, "The same for everybody"), ...problems() },
});

/** The HTTP API, without a socket: tests call `app.request`. */
export function createApp(options: AppOptions) {
  const app = createRoutes(createRouter());
  if (options.isTraced) app.use(traceRequests);
  const addCommonHeaders = commonHeaders(options);
  const observe = observeRequests(options.logger, options.logRequest, options.metrics);
  const allowPages = crossOrigin(options);
  // In one: each that Hono calls itself costs a look-up another promise.
  app.use((c, next) => {
    addCommonHeaders(c);
    return observe(c, () => allowPages(c, next));
  });
  const smallBody = bodyLimit({
    maxSize: maximumBodyBytes,
    onError: () => {
      throw new ReplError("invalid", `body: at most ${maximumBodyBytes / 1024} KiB`);
    },
  });
  app.on(["POST", "PUT", "PATCH", "DELETE"], "*", smallBody);
  app.use("/api/repl/*", requireSession(options));
  app.use("/api/rescued", requireSession(options));

  const routes = app
    .route("/", healthRoutes(options))
    .route("/auth", authRoutes(options))
    .openapi(templatesRoute, (c) => c.json(options.templates.map(templateJson), 200))
    .openapi(limitsRoute, (c) => c.json(options.quota, 200))
    .route("/api/repl", replLookUps(options.reader))
    .route("/api/repl", replCommands(options))
    .route("/api/repl", replSaves(options))
    .route("/api/repl", replEvents(options))
    .route("/api/rescued", rescuedRoutes(options))
    .route("/api/runner", runnerRoutes(options))
    .route("/api/runner", savePointerRoutes(options));

  describeApi(app);
  app.route("/docs", docsRoutes());
  app.route("/.well-known", wellKnownRoutes(options.issuer));
  if (options.page) app.route("/", pageRoutes(options.page));
  app.notFound((c) => problem(c, new ReplError("not_found", `There is no ${c.req.method} ${c.req.path}.`)));
  app.onError((error, c) => {
    options.metrics.countRefusal(error instanceof ReplError ? error.code : "internal");
    return problem(c, error);
  });
  return routes;
}

function describeApi(app: ReturnType<typeof createRoutes>): void {
  const { openAPIRegistry: registry } = app;
  registry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer", bearerFormat: "JWT" });
  registry.registerComponent("securitySchemes", "cookie", { type: "apiKey", in: "cookie", name: sessionCookie });
  registry.registerComponent("securitySchemes", "runner", {
    type: "http",
    scheme: "bearer",
    description: "The token of a session's runner",
  });
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: {
      title: "Devex Core",
      version: "0.1.0",
      license: { name: "MIT" },
      description:
        "The backend of a cloud IDE. Every create, open, close and delete is a durable workflow: once accepted it ends as promised. " +
        "Errors are RFC 9457 problems. Every path is served with and without a slash at its end.",
    },
    servers: [{ url: "/" }],
  });
}
