import { hashOfRecord, replFromHashes, type Hash } from "../../adapters/repl-hash.ts";
import { ReplError } from "../../domain/errors.ts";
import type { ReplDirectory } from "../../domain/ports.ts";
import type { Repl } from "../../domain/repl.ts";

/** The look-ups in memory. `flush` is what FLUSHALL does to the real ones. */
export function createFakeReplDirectory() {
  const users = new Map<string, Map<string, number>>();
  const metas = new Map<string, Hash>();
  const sessions = new Map<string, Hash>();

  const isOther = (replId: string, sessionId: string) => {
    const owner = sessions.get(replId)?.["sessionId"];
    return owner !== undefined && owner !== sessionId;
  };
  const change = (replId: string, sessionId: string, fields: Hash) => {
    if (!isOther(replId, sessionId)) sessions.set(replId, { ...sessions.get(replId), sessionId, ...fields });
  };
  const read = (replId: string): Repl | undefined =>
    replFromHashes(metas.get(replId) ?? {}, sessions.get(replId) ?? {});

  const directory: ReplDirectory = {
    async reserve(repl, session, limits, status) {
      if (isOther(repl.id, session.id)) throw new ReplError("conflict", "Another session of this REPL is running.");
      const repls = users.get(session.userId) ?? new Map<string, number>();
      if (!repls.has(repl.id) && repls.size >= limits.maxRepls)
        throw new ReplError("quota_exceeded", `You have ${limits.maxRepls} REPLs`);
      const active = [...repls.keys()].filter((id) => id !== repl.id && sessions.has(id)).length;
      if (!sessions.has(repl.id) && active >= limits.maxActive)
        throw new ReplError("quota_exceeded", `You have ${limits.maxActive} REPLs open`);
      users.set(session.userId, repls.set(repl.id, Date.parse(repl.createdAt)));
      const { statusReason: _dropped, ...meta } = metas.get(repl.id) ?? {};
      metas.set(repl.id, { ...meta, ...hashOfRecord(repl), status });
      sessions.set(repl.id, { sessionId: session.id, userId: session.userId, state: "starting" });
    },
    async publish(session, url, repl) {
      change(session.replId, session.id, { userId: session.userId, url, state: "running" });
      metas.set(session.replId, { ...metas.get(session.replId), ...hashOfRecord(repl), status: "stopped" });
    },
    async setState(session, state, reason) {
      change(session.replId, session.id, { userId: session.userId, state, reason: reason ?? "" });
    },
    async withdraw(session, { save, failure }) {
      if (isOther(session.replId, session.id)) return;
      sessions.delete(session.replId);
      const meta = metas.get(session.replId);
      if (!meta) return;
      const { statusReason: _dropped, ...rest } = meta;
      metas.set(session.replId, {
        ...rest,
        status: "stopped",
        ...(save ? { lastSave: JSON.stringify(save) } : {}),
        ...(failure ? { statusReason: failure } : {}),
      });
    },
    async forget(userId, replId) {
      const repls = users.get(userId);
      repls?.delete(replId);
      if (repls?.size === 0) users.delete(userId);
      metas.delete(replId);
      sessions.delete(replId);
    },
    async remember(user, records) {
      for (const record of records) {
        users.set(
          user.id,
          (users.get(user.id) ?? new Map<string, number>()).set(record.id, Date.parse(record.createdAt)),
        );
        metas.set(record.id, { ...metas.get(record.id), ...hashOfRecord(record) });
      }
    },
    async list(userId) {
      const repls = users.get(userId);
      if (!repls) return undefined;
      return [...repls].sort(([idA, a], [idB, b]) => b - a || (idA < idB ? 1 : -1)).flatMap(([id]) => read(id) ?? []);
    },
    async get(replId) {
      return read(replId);
    },
    async activeSession(replId) {
      const { sessionId, userId = "", state, url } = sessions.get(replId) ?? {};
      if (!sessionId || !state) return undefined;
      return { id: sessionId, replId, userId, state: state as "running", ...(url ? { url } : {}) };
    },
    async check() {},
  };
  return {
    directory,
    flush() {
      users.clear();
      metas.clear();
      sessions.clear();
    },
  };
}
