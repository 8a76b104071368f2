import { createMiddleware } from "hono/factory";
import type { Logger } from "../../config/logger.ts";
import type { Env } from "../env.ts";

const quiet = new Set(["/livez", "/readyz", "/ping"]);

/** One line per request; probes only when they fail. */
export function logRequests(logger: Logger) {
  return createMiddleware<Env>(async (c, next) => {
    const started = performance.now();
    c.set("logger", logger);
    await next();
    if (quiet.has(c.req.path) && c.res.status < 400) return;
    logger.info({
      event: "request",
      method: c.req.method,
      path: c.req.path,
      status: c.res.status,
      durationMs: Math.round(performance.now() - started),
      requestId: c.get("requestId"),
      userId: c.get("user")?.id,
    });
  });
}
