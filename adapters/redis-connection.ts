import { Redis, type RedisOptions } from "ioredis";
import { parseSentinelUrl, type RedisBySentinels } from "../domain/redis-url.ts";

/** A server that hangs is taken for away after this: reads then go to the registry instead. */
const commandTimeoutMs = 2000;
/** And is left after this. By Sentinels, another one has its place by then. */
const silenceMs = 5000;
const longestPauseMs = 2000;

/**
 * A connection that answers or fails within seconds and reconnects by itself. Commands of one turn of the
 * event loop travel together, in one round trip. `url` is one that `isRedisUrl` takes.
 */
export function connectToRedis(url: string): Redis {
  const pause = (failures: number) => Math.min(failures * 100, longestPauseMs);
  const options = {
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMs,
    maxRetriesPerRequest: 1,
    enableAutoPipelining: true,
    retryStrategy: pause,
    // A server that became a replica is left for the one that took its place.
    reconnectOnError: ({ message }: Error) => message.startsWith("READONLY"),
  } satisfies RedisOptions;
  const where = parseSentinelUrl(url);
  const redis = where
    ? new Redis({ ...options, ...bySentinels(where), sentinelRetryStrategy: pause })
    : new Redis(url, options);
  // Each command reports its own failure; without a listener the connection's would end the process.
  redis.on("error", () => {});
  return redis;
}

// Without ioredis' failover detector: one that hears of the failover while the client connects ends it for good.
function bySentinels({ sentinels, master, isEncrypted, ...identity }: RedisBySentinels) {
  return {
    sentinels: [...sentinels],
    name: master,
    ...identity,
    ...(isEncrypted ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

interface Hearing {
  /** What is to be heard at this moment. */
  readonly channels: () => readonly string[];
  /** Called after each connect, from when on nothing is missed. */
  readonly onHearing: () => void;
}

/**
 * A connection of its own for hearing what is published: no command there waits for an answer for long, or in
 * company. It subscribes anew after each reconnect, and is itself asked for a sign of life while nothing is said.
 */
export function connectToHear(redis: Redis, { channels, onHearing }: Hearing): Redis {
  const subscriber = redis.duplicate({
    enableAutoPipelining: false,
    maxRetriesPerRequest: 3,
    // A failure of ioredis' own subscribing reaches nobody, and would end the process.
    autoResubscribe: false,
  });
  // What is not answered has the connection left, which comes back.
  const unanswered = () => {};
  subscriber.on("error", unanswered);
  subscriber.on("ready", () => {
    const names = channels();
    if (names.length > 0) subscriber.subscribe(...names).then(onHearing, unanswered);
  });
  const asking = setInterval(() => {
    if (subscriber.status === "ready") subscriber.ping().catch(unanswered);
  }, silenceMs).unref();
  subscriber.once("end", () => clearInterval(asking));
  return subscriber;
}
