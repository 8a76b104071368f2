import { Redis } from "ioredis";

/** A server that hangs is taken for away after this: reads then go to the registry instead. */
const commandTimeoutMs = 2000;
const longestPauseMs = 2000;

/**
 * A connection that answers or fails within seconds and reconnects by itself. Commands of one turn of the
 * event loop travel together, in one round trip.
 */
export function connectToRedis(url: string): Redis {
  const redis = new Redis(url, {
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 1,
    enableAutoPipelining: true,
    retryStrategy: (failures) => Math.min(failures * 100, longestPauseMs),
  });
  // Each command reports its own failure; without a listener the connection's would end the process.
  redis.on("error", () => {});
  return redis;
}

/** A connection of its own for hearing what is published: no command there waits for an answer for long, or in company. */
export function connectToHear(redis: Redis): Redis {
  const subscriber = redis.duplicate({ enableAutoPipelining: false, maxRetriesPerRequest: 3 });
  subscriber.on("error", () => {});
  return subscriber;
}
