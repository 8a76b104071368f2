import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Env } from "../env.ts";
import { isProbe } from "./probes.ts";

const tracer = trace.getTracer("devex-api");

/** A span for each request but probes, which goes on with the trace that its sender began, if any. */
export const traceRequests = createMiddleware<Env>(async (c, next) => {
  if (isProbe(c.req.path)) return next();
  const parent = propagation.extract(context.active(), c.req.header());
  await tracer.startActiveSpan(c.req.method, { kind: SpanKind.SERVER }, parent, async (span) => {
    try {
      await next();
    } finally {
      const route = routePath(c, -1);
      span.updateName(`${c.req.method} ${route}`);
      span.setAttributes({
        "http.request.method": c.req.method,
        "http.route": route,
        "http.response.status_code": c.res.status,
        "devex.request_id": c.get("requestId"),
      });
      if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    }
  });
});
