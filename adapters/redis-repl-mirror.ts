import { redisKey } from "../domain/naming.ts";
import type { MarkedSession, RunnerReport, SessionReport } from "../domain/ports.ts";
import {
  replFrom,
  type KnownRepl,
  type KnownSession,
  type ReplId,
  type ReplRecord,
  type Session,
} from "../domain/repl.ts";
import { scanKeys, type RedisClient } from "./redis-connection.ts";
import { answered, loadScript } from "./redis-scripts.ts";

const marksInPage = 100;

/**
 * `replMeta` and `activeSession`, for whoever looks up by REPL: copies of what the index says, each key
 * changed by itself, because on Redis Cluster they lie in slots of their own.
 */
export function createReplMirror(redis: RedisClient, sessionTtlSeconds: number) {
  const setFields = loadScript(redis, "mirror");
  const flat = (fields: Readonly<Record<string, string>>) => Object.entries(fields).flat();

  const writeMeta = (known: KnownRepl) =>
    setFields([redisKey.replMeta(known.record.id)], [0, ...flat(metaFields(known))]);

  async function writeSession(session: Pick<Session, "replId" | "userId">, known: KnownSession): Promise<void> {
    const { id, state, url = "", reason = "" } = known;
    const began = state === "starting" ? freshSession() : {};
    await setFields(
      [redisKey.activeSession(session.replId)],
      [sessionTtlSeconds, ...flat({ sessionId: id, userId: session.userId, url, state, reason, ...began })],
    );
  }

  return {
    async write(known: KnownRepl): Promise<void> {
      const { record, session } = known;
      await Promise.all([
        writeMeta(known),
        ...(session ? [writeSession({ replId: record.id, userId: record.owner.id }, session)] : []),
      ]);
    },

    writeSession,

    async writeReport(
      { replId }: Session,
      { connections, lastActivityAt }: RunnerReport,
      record: ReplRecord | undefined,
    ): Promise<void> {
      const fields = flat({ connections: String(connections), lastActivityAt, reportedAt: new Date().toISOString() });
      const lastSave = record?.lastSave ? JSON.stringify(record.lastSave) : undefined;
      await Promise.all([
        setFields([redisKey.activeSession(replId)], [sessionTtlSeconds, ...fields]),
        lastSave && setFields([redisKey.replMeta(replId)], [0, ...flat({ lastSave })]),
      ]);
    },

    async readReports(sessions: readonly Session[]): Promise<(SessionReport | undefined)[]> {
      const names = ["sessionId", "connections", "lastActivityAt", "reportedAt"] as const;
      const read = ({ replId }: Session) =>
        answered(redis, () => redis.hmget(redisKey.activeSession(replId), ...names));
      return Promise.all(
        sessions.map(async (session) => {
          const [sessionId, connections, lastActivityAt, reportedAt] = await read(session);
          if (sessionId !== session.id || !lastActivityAt || !reportedAt) return undefined;
          return { connections: Number(connections), lastActivityAt, reportedAt };
        }),
      );
    },

    async *marks(): AsyncIterable<readonly MarkedSession[]> {
      const prefix = redisKey.activeSession("");
      for await (const page of scanKeys(redis, `${prefix}*`, marksInPage))
        yield (
          await Promise.all(
            page.map(async (key) => {
              const [id, userId, startedAt] = await answered(redis, () =>
                redis.hmget(key, "sessionId", "userId", "startedAt"),
              );
              const replId = key.slice(prefix.length);
              return id && userId ? [{ id, replId, userId, ...(startedAt ? { startedAt } : {}) }] : [];
            }),
          )
        ).flat();
    },

    async removeSession({ replId }: Session, repl: ReplRecord | undefined, failure: string | undefined) {
      await Promise.all([
        answered(redis, () => redis.del(redisKey.activeSession(replId))),
        repl
          ? writeMeta({ record: repl, ...(failure ? { failure } : {}) })
          : setFields(
              [redisKey.replMeta(replId)],
              [0, ...flat({ status: failure ? "failed" : "stopped", statusReason: failure ?? "", isActive: "false" })],
            ),
      ]);
    },

    async remove(replId: ReplId): Promise<void> {
      await Promise.all(
        [redisKey.replMeta(replId), redisKey.activeSession(replId)].map((key) => answered(redis, () => redis.del(key))),
      );
    },
  };
}

function freshSession() {
  const now = new Date().toISOString();
  return { startedAt: now, lastActivityAt: now, connections: "0" };
}

/** The Repl's fields; an empty one is removed. */
function metaFields(known: KnownRepl): Record<string, string> {
  const {
    id,
    name,
    owner,
    template,
    createdAt,
    lastOpenedAt = "",
    lastSave,
    status,
    statusReason = "",
  } = replFrom(known);
  return {
    id,
    name,
    user: owner.login,
    userId: owner.id,
    template,
    isActive: String(status === "running"),
    status,
    statusReason,
    createdAt,
    lastOpenedAt,
    lastSave: lastSave ? JSON.stringify(lastSave) : "",
  };
}
