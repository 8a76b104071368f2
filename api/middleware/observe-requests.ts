import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Log, Logger } from "../../config/logger.ts";
import type { Env } from "../env.ts";
import type { Metrics } from "../metrics.ts";
import { isProbe } from "./probes.ts";

/** One line and one count per request; probes have a line only when they fail. */
export function observeRequests(logger: Logger, logRequest: Log, metrics: Metrics) {
  return createMiddleware<Env>(async (c, next) => {
    const started = performance.now();
    c.set("logger", logger);
    await next();
    const durationMs = performance.now() - started;
    const { method, path } = c.req;
    const { status } = c.res;
    const route = routePath(c, -1);
    metrics.countRequest(method, route, status, durationMs / 1000);
    if (isProbe(route) && status < 400) return;
    logRequest({
      event: "request",
      method,
      path,
      route,
      status,
      durationMs: Math.round(durationMs),
      requestId: c.get("requestId"),
      userId: c.get("user")?.id,
    });
  });
}
