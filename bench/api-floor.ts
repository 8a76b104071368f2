import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { Redis } from "ioredis";

/** What Hono alone does: a route that answers a constant, and the same after one round trip to Redis. */
const redis = new Redis(process.env["REDIS_URL"] ?? "", { enableAutoPipelining: true });
await redis.set("benchFloor", "constant");
const app = new Hono();
app.get("/constant", (c) => c.json({ constant: true }));
app.get("/round-trip", async (c) => c.json({ value: await redis.get("benchFloor") }));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env["PORT"]) });
