import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type { Logger } from "../config/logger.ts";
import { ReplError } from "../domain/errors.ts";
import type { Env } from "./env.ts";
import { logRequests } from "./middleware/log-requests.ts";
import { requireSession } from "./middleware/require-session.ts";
import { problem } from "./problem.ts";
import { authRoutes, type AuthOptions } from "./routes/auth.ts";
import { healthRoutes, type Checks } from "./routes/health.ts";
import { replRoutes, type ReplRoutesOptions } from "./routes/repls.ts";
import { templateJson } from "./schemas.ts";

export interface AppOptions extends AuthOptions, ReplRoutesOptions {
  readonly checks: Checks;
  readonly logger: Logger;
  readonly frontendUrl: string;
  /** Origins whose pages may change something with the session cookie. */
  readonly allowedOrigins: readonly string[];
}

const maximumBodyBytes = 64 * 1024;

/** The HTTP API, without a socket: tests call `app.request`. */
export function createApp(options: AppOptions) {
  // Every path is served with and without a slash at its end.
  const app = new Hono<Env>({ strict: false });
  app.use(requestId());
  app.use(logRequests(options.logger));
  app.use(secureHeaders({ crossOriginResourcePolicy: "same-site" }));
  app.use(
    cors({
      origin: new URL(options.frontendUrl).origin,
      credentials: true,
      allowHeaders: ["Content-Type", "Authorization", "Idempotency-Key", "Prefer"],
      exposeHeaders: ["Location", "Retry-After"],
    }),
  );
  app.use(
    bodyLimit({
      maxSize: maximumBodyBytes,
      onError: () => {
        throw new ReplError("invalid", `body: at most ${maximumBodyBytes / 1024} KiB`);
      },
    }),
  );

  app.route("/", healthRoutes(options.checks));
  app.route("/auth", authRoutes(options));
  app.get("/api/templates", (c) => c.json(options.templates.map(templateJson)));
  // The existing front end opens a REPL by GET.
  app.use("/api/repl/*", requireSession(options.sessions, options.allowedOrigins, /^\/api\/repl\/session\//));
  app.route("/api/repl", replRoutes(options));

  app.notFound((c) => problem(c, new ReplError("not_found", `There is no ${c.req.method} ${c.req.path}.`)));
  app.onError((error, c) => problem(c, error));
  return app;
}
