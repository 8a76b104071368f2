import { createRoute, z } from "@hono/zod-openapi";
import { messageOf } from "../../domain/errors.ts";
import type { Metrics } from "../metrics.ts";
import { createRoutes, jsonContent } from "../openapi.ts";
import { pingSchema } from "../schemas.ts";

const checkTimeoutMs = 2000;

type Check = () => Promise<void>;

/** `postgres` where the registry is there. */
export type Checks = Readonly<Record<"k8s" | "s3" | "redis" | "temporal", Check> & { readonly postgres?: Check }>;

const tags = ["Health"];
const text = (description: string) => ({ description, content: { "text/plain": { schema: z.string() } } });

const livez = createRoute({
  method: "get",
  path: "/livez",
  tags,
  summary: "Whether the process lives",
  responses: { 200: text("ok") },
});
const readyz = createRoute({
  method: "get",
  path: "/readyz",
  tags,
  summary: "Whether requests can be answered: that takes Redis, S3, Temporal, and Postgres where the registry is there",
  responses: { 200: text("ok"), 503: text("What does not answer") },
});
const ping = createRoute({
  method: "get",
  path: "/ping",
  tags,
  summary: "What of the surroundings answers",
  responses: { 200: jsonContent(pingSchema, "Always 200; read the fields") },
});
const metricsRoute = createRoute({
  method: "get",
  path: "/metrics",
  tags,
  summary: "Prometheus metrics",
  responses: { 200: text("In the Prometheus text format") },
});

interface HealthOptions {
  readonly checks: Checks;
  readonly metrics: Metrics;
  readonly release: string;
}

/** Whether the process lives, may get requests, what of its surroundings answers, and what it counts. */
export function healthRoutes({ checks, metrics, release }: HealthOptions) {
  async function stateOf(check: () => Promise<void>): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, checkTimeoutMs, `no answer within ${checkTimeoutMs / 1000} s`);
    });
    return Promise.race([check().then(() => "ok", messageOf), timeout]).finally(() => clearTimeout(timer));
  }

  const needed = [checks.redis, checks.s3, checks.temporal, ...(checks.postgres ? [checks.postgres] : [])];

  return createRoutes()
    .openapi(livez, (c) => c.text("ok", 200))
    .openapi(readyz, async (c) => {
      const states = await Promise.all(needed.map(stateOf));
      const bad = states.find((state) => state !== "ok");
      return bad ? c.text(bad, 503) : c.text("ok", 200);
    })
    .openapi(ping, async (c) => {
      const { postgres } = checks;
      const [k8s = "", s3 = "", redis = "", temporal = "", registry] = await Promise.all(
        [checks.k8s, checks.s3, checks.redis, checks.temporal, ...(postgres ? [postgres] : [])].map(stateOf),
      );
      const database = registry === undefined ? {} : { postgres: registry };
      return c.json({ api: "ok", k8s, s3, redis, temporal, ...database, version: release }, 200);
    })
    .openapi(
      metricsRoute,
      async (c) => c.body(await metrics.render(), 200, { "content-type": metrics.contentType }) as never,
    );
}
