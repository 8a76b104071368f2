import type { Repl, ReplRecord, ReplStatus, SessionState } from "../domain/repl.ts";

export type Hash = Record<string, string>;

/** A record as the fields of `replMeta`. */
export function hashOfRecord(record: ReplRecord): Hash {
  return {
    id: record.id,
    name: record.name,
    userId: record.owner.id,
    user: record.owner.login,
    template: record.template,
    createdAt: record.createdAt,
    ...(record.lastOpenedAt ? { lastOpenedAt: record.lastOpenedAt } : {}),
    ...(record.lastSave ? { lastSave: JSON.stringify(record.lastSave) } : {}),
  };
}

/** A REPL from `replMeta` and `activeSession`; undefined when the first is missing or not whole. */
export function replFromHashes(meta: Hash, session: Hash): Repl | undefined {
  const { id, name, userId, user, template, createdAt } = meta;
  if (!id || name === undefined || !userId || !user || !template || !createdAt) return undefined;
  const reason = session["reason"] ?? meta["statusReason"];
  return {
    id,
    name,
    owner: { id: userId, login: user },
    template,
    createdAt,
    ...(meta["lastOpenedAt"] ? { lastOpenedAt: meta["lastOpenedAt"] } : {}),
    ...(meta["lastSave"] ? { lastSave: JSON.parse(meta["lastSave"]) as NonNullable<Repl["lastSave"]> } : {}),
    status: statusOf(meta, session),
    ...(reason ? { statusReason: reason } : {}),
    ...(session["state"] === "running" && session["url"] ? { url: session["url"] } : {}),
  };
}

function statusOf(meta: Hash, session: Hash): ReplStatus {
  const state = session["state"] as SessionState | undefined;
  if (state === "starting") return meta["status"] === "creating" ? "creating" : "starting";
  if (state) return state;
  return meta["statusReason"] ? "failed" : "stopped";
}

/** Redis scripts answer hashes as one flat list. */
export function hashFromPairs(pairs: readonly string[]): Hash {
  const hash: Hash = {};
  for (let index = 0; index + 1 < pairs.length; index += 2) hash[pairs[index] as string] = pairs[index + 1] as string;
  return hash;
}
