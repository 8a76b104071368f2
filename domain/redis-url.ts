/** A Redis whose Sentinels say which server is the master. */
export interface RedisBySentinels {
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  readonly master: string;
  readonly isEncrypted: boolean;
  /** Of the server; Sentinels are asked without. */
  readonly username?: string;
  readonly password?: string;
}

const plainUrl = /^rediss?:\/\/[^/,]+(?:\/.*)?$/;
const sentinelUrl =
  /^(rediss?)-sentinel:\/\/(?:([^:@/]*):([^@/]*)@)?([\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)\/([\w.-]+)$/;
const sentinelPort = 26_379;

/** Whether this is redis://…, rediss://… for TLS, or one that {@link parseSentinelUrl} reads. */
export function isRedisUrl(url: string): boolean {
  return plainUrl.test(url) || parseSentinelUrl(url) !== undefined;
}

/** Reads redis-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER, rediss-sentinel:// for TLS; undefined for all else. */
export function parseSentinelUrl(url: string): RedisBySentinels | undefined {
  const parts = sentinelUrl.exec(url);
  if (!parts) return undefined;
  const [, scheme, username, password, hosts = "", master = ""] = parts;
  try {
    return {
      sentinels: hosts.split(",").map((each) => {
        const [host = "", port] = each.split(":");
        return { host, port: Number(port ?? sentinelPort) };
      }),
      master,
      isEncrypted: scheme === "rediss",
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
    };
  } catch {
    return undefined;
  }
}
