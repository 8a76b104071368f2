import { Redis, type RedisOptions } from "ioredis";

/** A server that hangs is taken for away after this: reads then go to the registry instead. */
const commandTimeoutMs = 2000;
const longestPauseMs = 2000;

const sentinelUrl = /^(rediss?)-sentinel:\/\/(?:([^:@]*):([^@]*)@)?([^@/]+)\/([\w.-]+)$/;

/**
 * A connection that answers or fails within seconds and reconnects by itself. Commands of one turn of the
 * event loop travel together, in one round trip. `url` is redis://…, rediss://… for TLS, or names Sentinels, which
 * know where the server is: redis-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER (the server's user and password;
 * Sentinels are asked without).
 */
export function connectToRedis(url: string): Redis {
  const pause = (failures: number) => Math.min(failures * 100, longestPauseMs);
  const options = {
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 1,
    enableAutoPipelining: true,
    retryStrategy: pause,
    // A server that became a replica is left for the one that took its place.
    reconnectOnError: ({ message }: Error) => message.startsWith("READONLY"),
  } satisfies RedisOptions;
  const parts = sentinelUrl.exec(url);
  const redis = parts
    ? new Redis({ ...options, ...bySentinel(parts), sentinelRetryStrategy: pause })
    : new Redis(url, options);
  // Each command reports its own failure; without a listener the connection's would end the process.
  redis.on("error", () => {});
  return redis;
}

function bySentinel([, scheme, username, password, hosts = "", name = ""]: RegExpExecArray) {
  const sentinels = hosts.split(",").map((host) => {
    const { hostname, port } = new URL(`redis://${host}`);
    return { host: hostname, port: Number(port || 26_379) };
  });
  return {
    sentinels,
    name,
    failoverDetector: true,
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(scheme === "rediss" ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

/** A connection of its own for hearing what is published: no command there waits for an answer for long, or in company. */
export function connectToHear(redis: Redis): Redis {
  const subscriber = redis.duplicate({ enableAutoPipelining: false, maxRetriesPerRequest: 3 });
  subscriber.on("error", () => {});
  return subscriber;
}
