/** How to speak to each server. */
export interface RedisIdentity {
  readonly isEncrypted: boolean;
  readonly username?: string;
  readonly password?: string;
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** A Redis whose Sentinels say which server is the master. Name and password are the server's; Sentinels are asked without. */
export interface RedisBySentinels extends RedisIdentity {
  readonly sentinels: readonly Place[];
  readonly master: string;
}

/** A Redis Cluster: any of its nodes tells of the others. */
export interface RedisCluster extends RedisIdentity {
  readonly nodes: readonly Place[];
}

const plainUrl = /^rediss?:\/\/[^/,]+(?:\/.*)?$/;
const urlOfMany =
  /^(rediss?)-(sentinel|cluster):\/\/(?:([^:@/]*):([^@/]*)@)?([\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)(?:\/([\w.-]+))?$/;
const standardPorts = { sentinel: 26_379, cluster: 6379 } as const;

/** Whether this is redis://…, rediss://… for TLS, or one that {@link parseSentinelUrl} or {@link parseClusterUrl} reads. */
export function isRedisUrl(url: string): boolean {
  return plainUrl.test(url) || parseSentinelUrl(url) !== undefined || parseClusterUrl(url) !== undefined;
}

/** Reads redis-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER, rediss-sentinel:// for TLS; undefined for all else. */
export function parseSentinelUrl(url: string): RedisBySentinels | undefined {
  const parts = parse(url);
  if (parts?.kind !== "sentinel" || !parts.path) return undefined;
  return { sentinels: parts.places, master: parts.path, ...parts.identity };
}

/** Reads redis-cluster://USER:PASSWORD@HOST:PORT,HOST:PORT, rediss-cluster:// for TLS; undefined for all else. */
export function parseClusterUrl(url: string): RedisCluster | undefined {
  const parts = parse(url);
  if (parts?.kind !== "cluster" || parts.path) return undefined;
  return { nodes: parts.places, ...parts.identity };
}

function parse(url: string) {
  const parts = urlOfMany.exec(url);
  if (!parts) return undefined;
  const [, scheme, name, username, password, hosts = "", path] = parts;
  const kind = name as keyof typeof standardPorts;
  const places = hosts.split(",").map((each): Place => {
    const [host = "", port] = each.split(":");
    return { host, port: Number(port ?? standardPorts[kind]) };
  });
  try {
    const identity: RedisIdentity = {
      isEncrypted: scheme === "rediss",
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
    };
    return { kind, path, places, identity };
  } catch {
    return undefined;
  }
}
