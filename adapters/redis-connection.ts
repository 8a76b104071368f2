import { Cluster, Redis, type RedisOptions } from "ioredis";
import { RedisByTurns } from "./redis-by-turns.ts";
import {
  parseClusterUrl,
  parseSentinelUrl,
  type RedisBySentinels,
  type RedisCluster,
  type RedisIdentity,
} from "../domain/redis-url.ts";

/** One server, or a cluster of them. */
export type RedisClient = Redis | Cluster;

/** A server that hangs is taken for away after this: reads then go to the registry instead. */
const commandTimeoutMs = 2000;
/** And is left after this. By Sentinels, another one has its place by then. */
const silenceMs = 5000;
const longestPauseMs = 2000;
/** Of a whole call to a cluster, of which a command may wait until its node is known. */
export const callTimeoutMs = 2 * commandTimeoutMs;
/** A command that a cluster sends on and on, while one node takes another's place, waits about as long as one does. */
const maximumRedirections = 8;

const pause = (failures: number) => Math.min(failures * 100, longestPauseMs);

/**
 * A connection that answers or fails within seconds and reconnects by itself. Commands of one turn of the
 * event loop travel together, in one round trip, but for a cluster. `url` is one that `isRedisUrl` takes.
 */
export function connectToRedis(url: string): RedisClient {
  const options = {
    socketTimeout: silenceMs,
    maxRetriesPerRequest: 1,
    retryStrategy: pause,
    // A server that became a replica is left for the one that took its place.
    reconnectOnError: ({ message }: Error) => message.startsWith("READONLY"),
  } satisfies RedisOptions;
  const [cluster, sentinels] = [parseClusterUrl(url), parseSentinelUrl(url)];
  const redis = cluster
    ? connectToCluster(cluster)
    : sentinels
      ? new RedisByTurns(commandTimeoutMs, { ...options, ...bySentinels(sentinels), sentinelRetryStrategy: pause })
      : new RedisByTurns(commandTimeoutMs, options, url);
  // Each command reports its own failure; without a listener the connection's would end the process.
  redis.on("error", () => {});
  return redis;
}

// Without ioredis' failover detector: one that hears of the failover while the client connects ends it for good.
function bySentinels({ sentinels, master, ...identity }: RedisBySentinels) {
  return { sentinels: [...sentinels], name: master, ...identified(identity) } satisfies RedisOptions;
}

const identified = ({ isEncrypted, ...identity }: RedisIdentity) =>
  ({ ...identity, ...(isEncrypted ? { tls: {} } : {}) }) satisfies RedisOptions;

/** What a cluster was connected with: other nodes are known only once one of these has answered. */
const origins = new WeakMap<Cluster, RedisCluster>();

const nodeOptions = ({ nodes: _, ...identity }: RedisCluster) =>
  ({ commandTimeout: commandTimeoutMs, socketTimeout: silenceMs, ...identified(identity) }) satisfies RedisOptions;

function connectToCluster(origin: RedisCluster): Cluster {
  const cluster = new Cluster([...origin.nodes], {
    redisOptions: nodeOptions(origin),
    // A certificate is for a name.
    ...(origin.isEncrypted ? { dnsLookup: (address, done) => done(null, address) } : {}),
    // Commands that travel together are not sent on one by one when their slots have moved.
    enableAutoPipelining: false,
    maxRedirections: maximumRedirections,
    slotsRefreshTimeout: commandTimeoutMs,
    slotsRefreshInterval: silenceMs,
    clusterRetryStrategy: pause,
  });
  origins.set(cluster, origin);
  return cluster;
}

/**
 * Counts the servers that a client has had: one that was left and came back is another one, because it may know less
 * than before. The returned function tells how many there were until now.
 */
export function countServers(redis: RedisClient): () => number {
  let servers = 0;
  const count = () => void servers++;
  if (!(redis instanceof Cluster)) {
    redis.on("ready", count);
    return () => servers;
  }
  for (const node of redis.nodes("all")) node.on("ready", count);
  redis.on("+node", (node: Redis) => node.on("ready", count));
  // A replica that was connected before it took its master's place.
  let masters = "";
  redis.on("refresh", () => {
    const now = redis
      .nodes("master")
      .map(({ options: { host, port } }) => `${host}:${port}`)
      .sort()
      .join();
    if (now !== masters) count();
    masters = now;
  });
  return () => servers;
}

/** Names of keys, some at a time. Throws while a cluster does not answer. */
export async function* scanKeys(redis: RedisClient, match: string, count: number): AsyncGenerator<string[]> {
  const servers = redis instanceof Cluster ? redis.nodes("master") : [redis];
  if (servers.length === 0) throw new Error("no node of the Redis Cluster is known");
  for (const server of servers) yield* server.scanStream({ match, count }) as AsyncIterable<string[]>;
}

const hearing = {
  commandTimeout: commandTimeoutMs,
  enableAutoPipelining: false,
  maxRetriesPerRequest: 3,
  // A failure of ioredis' own subscribing reaches nobody, and would end the process.
  autoResubscribe: false,
} satisfies RedisOptions;

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
export function connectToHear(redis: RedisClient, { channels, onHearing }: Hearing): Redis {
  const subscriber = redis instanceof Cluster ? connectToAnyNode(redis) : redis.duplicate(hearing);
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

/** Each node of a cluster tells what was published at any other. One that is lost is left for another. */
function connectToAnyNode(cluster: Cluster): Redis {
  const origin = origins.get(cluster);
  if (!origin) throw new Error("this cluster was not connected to here");
  let tried = 0;
  const nextNode = () => {
    const known = cluster.nodes("all").map(({ options: { host = "", port = 0 } }) => ({ host, port }));
    const nodes = known.length > 0 ? known : origin.nodes;
    return nodes[tried++ % nodes.length];
  };
  const redis: Redis = new Redis({
    ...nodeOptions(origin),
    ...hearing,
    ...nextNode(),
    retryStrategy: (failures: number) => {
      Object.assign(redis.options, nextNode());
      return pause(failures);
    },
  });
  return redis;
}
