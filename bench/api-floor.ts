import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { Redis } from "ioredis";
import { connectToRedis } from "../adapters/redis-connection.ts";

/**
 * What Hono alone does: a route that answers a constant, and the same after one round trip to Redis, by ioredis'
 * own batches and by ours.
 */
const url = process.env["REDIS_URL"] ?? "";
const redis = new Redis(url, { enableAutoPipelining: true });
const ours = connectToRedis(url);
await redis.set("benchFloor", "constant");
const app = new Hono();
app.get("/constant", (c) => c.json({ constant: true }));
app.get("/round-trip", async (c) => c.json({ value: await redis.get("benchFloor") }));
// As long as the answer that it is the floor of: what travels costs by the byte, whoever sends it.
const answers = new Map<string, Uint8Array<ArrayBuffer>>();
app.get("/round-trip/:bytes", async (c) => {
  const bytes = c.req.param("bytes");
  const answer = answers.get(bytes) ?? new TextEncoder().encode("x".repeat(Number(bytes)));
  answers.set(bytes, answer);
  await redis.get("benchFloor");
  return c.body(answer);
});
app.get("/round-trip-by-turns", async (c) => c.json({ value: await ours.get("benchFloor") }));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env["PORT"]) });
