import { Hono } from "hono";
import { messageOf } from "../../domain/errors.ts";
import type { Env } from "../env.ts";

const checkTimeoutMs = 2000;

export type Checks = Readonly<Record<"k8s" | "s3" | "redis" | "temporal", () => Promise<void>>>;

/** Whether the process lives, may get requests, and what of its surroundings answers. */
export function healthRoutes(checks: Checks) {
  const routes = new Hono<Env>();

  async function stateOf(check: () => Promise<void>): Promise<string> {
    const timeout = new Promise<string>((resolve) =>
      setTimeout(resolve, checkTimeoutMs, `no answer within ${checkTimeoutMs / 1000} s`).unref(),
    );
    return Promise.race([check().then(() => "ok", messageOf), timeout]);
  }

  routes.get("/livez", (c) => c.text("ok"));

  /** Ready means that requests can be answered: that takes Redis, S3 and Temporal. */
  routes.get("/readyz", async (c) => {
    const states = await Promise.all([checks.redis, checks.s3, checks.temporal].map(stateOf));
    const bad = states.find((state) => state !== "ok");
    return bad ? c.text(bad, 503) : c.text("ok");
  });

  routes.get("/ping", async (c) => {
    const [k8s, s3, redis, temporal] = await Promise.all(
      [checks.k8s, checks.s3, checks.redis, checks.temporal].map(stateOf),
    );
    return c.json({ api: "ok", k8s, s3, redis, temporal });
  });

  return routes;
}
