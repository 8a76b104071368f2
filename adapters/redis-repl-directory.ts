import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { ReplError } from "../domain/errors.ts";
import { redisKey } from "../domain/naming.ts";
import type { ReplDirectory } from "../domain/ports.ts";
import type { Repl, SessionState } from "../domain/repl.ts";
import { hashFromPairs, hashOfRecord, replFromHashes, type Hash } from "./repl-hash.ts";

export interface RedisOptions {
  readonly url: string;
  /** How long a session's key lives when nothing refreshes it. */
  readonly sessionTtlSeconds: number;
}

const commandTimeoutMs = 5000;

/** The quick look-ups on Redis. Answers `unavailable` within seconds when Redis is away, and reconnects by itself. */
export function createRedisReplDirectory(options: RedisOptions): ReplDirectory & { close(): Promise<void> } {
  const redis = new Redis(options.url, {
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: true,
    retryStrategy: (failures) => Math.min(failures * 100, 2000),
  });
  // Each command reports its own failure; without a listener the connection's would end the process.
  redis.on("error", () => {});

  const reserve = script("reserve.lua");
  const changeSession = script("change-session.lua");
  const withdraw = script("withdraw.lua");
  const listRepls = script("list-repls.lua");

  function script(file: string) {
    const text = readFileSync(new URL(file, import.meta.url), "utf8");
    const name = file.replace(".lua", "");
    redis.defineCommand(name, { lua: text });
    return (keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
      attempt(
        () =>
          (redis as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>)[name]?.(
            keys.length,
            ...keys,
            ...args,
          ) as Promise<unknown>,
      );
  }

  async function attempt<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw new ReplError("unavailable", "The session directory does not answer. Try again in a moment.", {
        cause: error,
      });
    }
  }

  const fields = (hash: Hash) => Object.entries(hash).flat();

  return {
    async reserve(repl, session, limits, status) {
      const now = new Date().toISOString();
      const meta = fields({ ...hashOfRecord(repl), status });
      const keys = [redisKey.userRepls(session.userId), redisKey.replMeta(repl.id), redisKey.activeSession(repl.id)];
      const args = [
        repl.id,
        session.id,
        session.userId,
        Date.parse(repl.createdAt),
        limits.maxRepls,
        limits.maxActive,
        now,
        options.sessionTtlSeconds,
        "starting",
        ...meta,
      ];
      const answer = await reserve(keys, args);
      if (answer === "repls")
        throw new ReplError(
          "quota_exceeded",
          `You have ${limits.maxRepls} REPLs, the most one user can have. Delete one first.`,
        );
      if (answer === "active")
        throw new ReplError(
          "quota_exceeded",
          `You have ${limits.maxActive} REPLs open, the most one user can have. Close one first.`,
        );
      if (answer === "conflict") throw new ReplError("conflict", "Another session of this REPL is running.");
    },

    async publish(session, url, repl) {
      await changeSession(
        [redisKey.activeSession(session.replId)],
        [session.id, options.sessionTtlSeconds, ...fields({ userId: session.userId, url, state: "running" })],
      );
      await attempt(() => redis.hset(redisKey.replMeta(session.replId), { ...hashOfRecord(repl), status: "stopped" }));
    },

    async setState(session, state, reason) {
      await changeSession(
        [redisKey.activeSession(session.replId)],
        [session.id, options.sessionTtlSeconds, ...fields({ userId: session.userId, state, reason: reason ?? "" })],
      );
    },

    async withdraw(session, { save, failure }) {
      const noted = fields({
        status: "stopped",
        ...(save ? { lastSave: JSON.stringify(save) } : {}),
        ...(failure ? { statusReason: failure } : {}),
      });
      await withdraw(
        [redisKey.activeSession(session.replId), redisKey.replMeta(session.replId)],
        [session.id, ...noted],
      );
    },

    async forget(userId, replId) {
      await attempt(() =>
        redis
          .multi()
          .zrem(redisKey.userRepls(userId), replId)
          .del(redisKey.replMeta(replId), redisKey.activeSession(replId))
          .exec(),
      );
    },

    async remember(user, records) {
      if (records.length === 0) return;
      const batch = redis.multi();
      for (const record of records) {
        batch.zadd(redisKey.userRepls(user.id), Date.parse(record.createdAt), record.id);
        batch.hset(redisKey.replMeta(record.id), hashOfRecord(record));
      }
      await attempt(() => batch.exec());
    },

    async list(userId) {
      const answer = (await listRepls([redisKey.userRepls(userId)], [])) as [string[], string[]][] | null;
      return answer?.flatMap(([meta, session]) => replFromHashes(hashFromPairs(meta), hashFromPairs(session)) ?? []);
    },

    async get(replId): Promise<Repl | undefined> {
      const answer = await attempt(() =>
        redis.pipeline().hgetall(redisKey.replMeta(replId)).hgetall(redisKey.activeSession(replId)).exec(),
      );
      const [meta, session] = (answer ?? []).map(([error, hash]) => {
        if (error) throw new ReplError("unavailable", "The session directory does not answer.", { cause: error });
        return hash as Hash;
      });
      return meta && session && replFromHashes(meta, session);
    },

    async activeSession(replId) {
      const hash = await attempt(() => redis.hgetall(redisKey.activeSession(replId)));
      const { sessionId, userId, state, url } = hash as Partial<Record<string, string>>;
      if (!sessionId || !state) return undefined;
      return { id: sessionId, replId, userId: userId ?? "", state: state as SessionState, ...(url ? { url } : {}) };
    },

    async check() {
      await attempt(() => redis.ping());
    },

    async close() {
      redis.disconnect();
    },
  };
}
