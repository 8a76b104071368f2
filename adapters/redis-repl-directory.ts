import { LRUCache } from "lru-cache";
import { ReplError } from "../domain/errors.ts";
import { redisKey } from "../domain/naming.ts";
import type { Limits, Place, ReadTruth, ReplDirectory } from "../domain/ports.ts";
import { byCreation, replFrom, type KnownSession, type Repl, type ReplRecord, type Session } from "../domain/repl.ts";
import { indexNote, indexSession, readIndex } from "./repl-index.ts";
import { createReplMirror } from "./redis-repl-mirror.ts";
import { countServers, type RedisClient } from "./redis-connection.ts";
import { answered, loadScript, readScript, type Script } from "./redis-scripts.ts";

export interface ReplDirectoryOptions {
  /** How long a session's key lives when nothing refreshes it. */
  readonly sessionTtlSeconds: number;
  readonly readTruth: ReadTruth;
}

/** Users whose lists are kept in memory, each checked against Redis at every use. */
const usersInMemory = 2000;
/** After this a list is read by the script again, which notices also the older server that a proxy hides from us. */
const longestKeptMs = 60_000;
/** A start has ended long before. Nothing else frees a place whose answer was lost with the workflow that took it. */
const longestStartMs = 30 * 60_000;
/** Another flush can come between filling the keys and using them; three in a row is something else. */
const maximumFills = 3;

interface Remembered {
  /** Of its user's index, made once for all questions. */
  readonly key: string;
  /** What they were when the list was read. Another epoch begins when Redis has lost everything. */
  readonly epoch: unknown;
  readonly version: unknown;
  /** Which of our servers said so: another one may say the same of what was known earlier. */
  readonly server: number;
  readonly repls: readonly Repl[];
  /** When the first of the sessions expires, and with it this list. */
  readonly until: number;
}

/**
 * The look-ups on Redis. What is decided is decided by one script over one user's two keys, which share a
 * slot (Redis Cluster). `replMeta` and `activeSession` are written after them, for whoever looks up by REPL.
 */
export function createRedisReplDirectory(redis: RedisClient, options: ReplDirectoryOptions): ReplDirectory {
  const history = readScript("history");
  const preamble = history + readScript("index");
  /** A script that begins with index.lua, and like that is told the time first. */
  function load(name: string): Script {
    const script = loadScript(redis, name, preamble);
    return (keys, args) => script(keys, [Date.now(), ...args]);
  }
  const takePlace = load("take-place");
  const setSession = load("set-session");
  const touchSession = load("touch-session");
  const withdraw = load("withdraw");
  const forget = load("forget");
  const read = loadScript(redis, "read", history);
  const remember = load("remember");
  const mirror = createReplMirror(redis, options.sessionTtlSeconds);
  const serverNow = countServers(redis);
  const lists = new LRUCache<string, Remembered>({ max: usersInMemory });

  const keysOf = (userId: string) => [redisKey.userRepls(userId), redisKey.userIndex(userId)];
  const expiry = () => Date.now() + options.sessionTtlSeconds * 1000;
  const startExpiry = () => Math.min(expiry(), Date.now() + longestStartMs);

  /** Runs a script for a user; where the keys were flushed they are filled first. */
  async function ask(script: Script, userId: string, args: readonly (string | number)[]): Promise<readonly unknown[]> {
    for (let fills = 0; fills <= maximumFills; fills++) {
      const answer = (await script(keysOf(userId), args)) as readonly unknown[];
      if (answer[0] !== "unknown") return answer;
      await fill(userId);
    }
    throw new ReplError("unavailable", "The session directory is being rebuilt. Try again in a moment.");
  }

  async function fill(userId: string): Promise<void> {
    const known = await options.readTruth(userId);
    const until = expiry();
    await remember(
      keysOf(userId),
      known.flatMap(({ record, session, isCreating }) => [
        record.id,
        Date.parse(record.createdAt),
        JSON.stringify(record),
        session ? indexSession({ ...session, until }) : "",
        indexNote({ isCreating }),
      ]),
    );
    await Promise.all(known.map((repl) => mirror.write(repl)));
  }

  /** Takes a place, or confirms one that was taken; returns the epoch. A REPL that exists has its place among all. */
  async function take(
    repl: ReplRecord,
    session: Session,
    view: Pick<KnownSession, "state" | "url">,
    limits: Limits,
    { epoch, isCreating }: Place,
  ): Promise<string> {
    const known = { id: session.id, ...view };
    const note = { isCreating: isCreating && view.state === "starting" };
    const [outcome, current] = await ask(takePlace, session.userId, [
      repl.id,
      session.id,
      Date.parse(repl.createdAt),
      isCreating ? limits.maxRepls : Number.MAX_SAFE_INTEGER,
      limits.maxActive,
      JSON.stringify(repl),
      indexSession({ ...known, until: view.state === "starting" ? startExpiry() : expiry() }),
      indexNote(note),
      epoch,
    ]);
    if (outcome !== "ok") throw refusal(String(outcome), limits);
    await mirror.write({ record: repl, session: known, ...note });
    return String(current);
  }

  async function list(userId: string): Promise<readonly Repl[]> {
    const remembered = lists.get(userId);
    if (remembered && remembered.until > Date.now()) {
      const [epoch, version] = await answered(redis, () => redis.hmget(remembered.key, "epoch", "version"));
      const isSame = epoch === remembered.epoch && version === remembered.version;
      if (isSame && serverNow() === remembered.server) return remembered.repls;
    }
    const server = serverNow();
    const [, epoch, version, index] = await ask(read, userId, []);
    const known = readIndex(index as string[], Date.now());
    const repls = known.map(replFrom).sort(byCreation);
    const until = Math.min(
      ...known.flatMap(({ session }) => (session ? [session.until] : [])),
      Date.now() + longestKeptMs,
    );
    lists.set(userId, { key: redisKey.userIndex(userId), epoch, version, server, repls, until });
    return repls;
  }

  return {
    async reserve(repl, session, limits, status) {
      const isCreating = status === "creating";
      const epoch = await take(repl, session, { state: "starting" }, limits, { epoch: "", isCreating });
      return { epoch, isCreating };
    },

    async publish(session, url, repl, place, limits) {
      await take(repl, session, { state: "running", url }, limits, place);
    },

    async setState(session, state, reason) {
      const view = { id: session.id, state, ...(reason ? { reason } : {}) };
      const [outcome] = await ask(setSession, session.userId, [
        session.replId,
        session.id,
        indexSession({ ...view, until: expiry() }),
      ]);
      if (outcome === "ok") await mirror.writeSession(session, view);
    },

    async touch(session, report, record) {
      const unsaved = report.save?.unsaved;
      const [outcome] = await ask(touchSession, session.userId, [
        session.replId,
        session.id,
        expiry(),
        unsaved ? JSON.stringify(unsaved) : "",
        record ? JSON.stringify(record) : "",
      ]);
      if (outcome === "ok") await mirror.writeReport(session, report, record);
      return outcome === "ok";
    },

    async withdraw(session, { repl, failure }) {
      const [outcome] = await ask(withdraw, session.userId, [
        session.replId,
        session.id,
        repl ? JSON.stringify(repl) : "",
        indexNote({ failure }),
      ]);
      if (outcome === "ok") await mirror.removeSession(session, repl, failure);
    },

    async forget(userId, replId) {
      await ask(forget, userId, [replId]);
      await mirror.remove(replId);
    },

    list,

    async activeSession(userId, replId) {
      const [, , , index] = await ask(read, userId, []);
      return readIndex(index as string[], Date.now()).find(({ record }) => record.id === replId)?.session;
    },

    reports: mirror.readReports,
    marks: mirror.marks,

    async check() {
      await answered(redis, () => redis.ping());
    },
  };
}

function refusal(outcome: string, limits: Limits): ReplError {
  if (outcome === "repls")
    return new ReplError(
      "quota_exceeded",
      `You have ${limits.maxRepls} REPLs, the most one user can have. Delete one first.`,
    );
  if (outcome === "active")
    return new ReplError(
      "quota_exceeded",
      `You have ${limits.maxActive} REPLs open, the most one user can have. Close one first.`,
    );
  return new ReplError("conflict", "Another session of this REPL is running.");
}
