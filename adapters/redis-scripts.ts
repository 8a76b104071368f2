import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Cluster } from "ioredis";
import { callTimeoutMs, type RedisClient } from "./redis-connection.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { withinTime } from "./within-time.ts";

export type Script = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

/** Loads a script from adapters/lua. It is sent by its digest, and in full when the server does not have it yet. */
export function loadScript(redis: RedisClient, name: string, preamble = ""): Script {
  const text = preamble + readScript(name);
  const digest = createHash("sha1").update(text).digest("hex");
  return (keys, args) =>
    answered(redis, () =>
      redis.evalsha(digest, keys.length, ...keys, ...args).catch((error: unknown) => {
        if (!messageOf(error).startsWith("NOSCRIPT")) throw error;
        return redis.eval(text, keys.length, ...keys, ...args);
      }),
    );
}

export function readScript(name: string): string {
  return readFileSync(new URL(`lua/${name}.lua`, import.meta.url), "utf8");
}

/** After a failure nobody waits for Redis for a second: whoever can do without it then does so at once. */
const restMs = 1000;
const failedAt = new WeakMap<RedisClient, number>();

/** Runs a call to Redis; any failure is `unavailable`. */
export function answered<T>(redis: RedisClient, call: () => Promise<T>): Promise<T> {
  if (Date.now() - (failedAt.get(redis) ?? 0) < restMs) return Promise.reject(away(undefined));
  return (redis instanceof Cluster ? withinTime(callTimeoutMs, call) : call()).catch((error: unknown) => {
    // An answer that refuses is an answer.
    if (!(error instanceof Error && error.name === "ReplyError")) failedAt.set(redis, Date.now());
    throw away(error);
  });
}

function away(cause: unknown): ReplError {
  return new ReplError("unavailable", "The session directory does not answer. Try again in a moment.", { cause });
}
