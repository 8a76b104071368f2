import { fileURLToPath } from "node:url";
import { Pool, type PoolClient, type QueryResultRow } from "pg";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { Deletion, RecordName, Registry } from "../domain/ports.ts";
import {
  buryIn,
  changeIn,
  createIn,
  isForgettable,
  readPlace,
  writePlace,
  type RecordPlace,
} from "../domain/record-place.ts";

/** A server that hangs is taken for away after this. */
const timeoutMs = 5000;
const maximumConnections = 10;
const migrations = fileURLToPath(new URL("migrations", import.meta.url));

export interface PostgresRegistry extends Registry {
  /** Brings the tables to what this release needs. Of several at once one does it, and the others wait. May be repeated. */
  migrate(): Promise<void>;
  close(): Promise<void>;
}

/** The registry in a database that others can ask too: a row for each REPL. */
export function createPostgresRegistry(url: string): PostgresRegistry {
  const pool = new Pool({
    connectionString: url,
    max: maximumConnections,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: "devex",
  });
  // Of a connection that nobody uses just now; the next call takes another one.
  pool.on("error", () => {});

  async function rows<Row extends QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return (await pool.query<Row>(sql, [...values])).rows;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** What `work` does happens whole or not at all. */
  async function inTransaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    let broken: Error | undefined;
    try {
      await client.query("begin");
      const result = await work(client);
      await client.query("commit");
      return result;
    } catch (error) {
      await client.query("rollback").catch((failure: Error) => (broken = failure));
      throw error instanceof ReplError ? error : unavailable(error);
    } finally {
      // One that is broken is not given to the next caller.
      client.release(broken);
    }
  }

  /** Reads, decides and writes what lies in a record's place, while nobody else can. */
  function changePlace<T>(
    { userId, replId }: RecordName,
    decide: (place: RecordPlace) => { readonly next: RecordPlace | undefined; readonly answer: T },
  ): Promise<T> {
    return inTransaction(async (client) => {
      const values = [userId, replId];
      await client.query("insert into repl (user_id, id, record) values ($1, $2, $3) on conflict do nothing", [
        ...values,
        JSON.stringify({}),
      ]);
      const sql = "select record from repl where user_id = $1 and id = $2 for update";
      const found = (await client.query<{ record: object }>(sql, values)).rows[0]?.record ?? {};
      const { next, answer } = decide(readPlace(found));
      if (next)
        await client.query("update repl set record = $3 where user_id = $1 and id = $2", [...values, writePlace(next)]);
      return answer;
    });
  }

  const read: Registry["read"] = async (userId, replId) => {
    const sql = "select record from repl where user_id = $1 and id = $2";
    const [found] = await rows<{ record: object }>(sql, [userId, replId]);
    return found && readPlace(found.record).record;
  };

  return {
    home: "postgres",
    read,

    async list(userId) {
      const sql = "select record from repl where user_id = $1 and record ? 'id'";
      return (await rows<{ record: object }>(sql, [userId])).flatMap(({ record }) => readPlace(record).record ?? []);
    },

    names: () => rows<{ userId: string; replId: string }>('select user_id as "userId", id as "replId" from repl'),

    create: (record) =>
      changePlace({ userId: record.owner.id, replId: record.id }, (place) => ({
        next: createIn(place, record),
        answer: undefined,
      })),

    bury: (burial, mayBury = () => true) =>
      changePlace({ userId: burial.owner.id, replId: burial.replId }, (place) => {
        const next = buryIn(place, burial, mayBury, new Date());
        return { next, answer: next !== undefined };
      }),

    async forgetTombstones(userId, replId) {
      const [found] = await rows<{ record: object }>("select record from repl where user_id = $1 and id = $2", [
        userId,
        replId,
      ]);
      if (found && isForgettable(readPlace(found.record), new Date()))
        await rows("delete from repl where user_id = $1 and id = $2 and record = $3", [
          userId,
          replId,
          JSON.stringify(found.record),
        ]);
    },

    update: (userId, replId, change) =>
      changePlace({ userId, replId }, (now) => {
        const { changed, place } = changeIn(now, change);
        return { next: place, answer: changed };
      }),

    async remove(userId, replId) {
      await rows("delete from repl where user_id = $1 and id = $2", [userId, replId]);
    },

    async noteDeletion({ replId, owner, createdAt }) {
      const sql =
        "insert into repl_deletion (user_id, id, login, created_at) values ($1, $2, $3, $4) on conflict do nothing";
      await rows(sql, [owner.id, replId, owner.login, createdAt ?? null]);
    },

    async findDeletion(userId, replId) {
      const sql = "select * from repl_deletion where user_id = $1 and id = $2";
      return (await rows<DeletionRow>(sql, [userId, replId])).map(deletionFrom)[0];
    },

    async deletions() {
      return (await rows<DeletionRow>("select * from repl_deletion")).map(deletionFrom);
    },

    async endDeletion(userId, replId) {
      await rows("delete from repl_deletion where user_id = $1 and id = $2", [userId, replId]);
    },

    async check() {
      await rows("select from repl limit 1");
    },

    async migrate() {
      // Nobody but a worker that starts needs it.
      const { runner } = await import("node-pg-migrate");
      try {
        await runner({
          databaseUrl: { connectionString: url, connectionTimeoutMillis: timeoutMs },
          dir: migrations,
          direction: "up",
          migrationsTable: "devex_migrations",
          advisoryLockMode: "wait",
          log: () => {},
        });
      } catch (error) {
        throw unavailable(error);
      }
    },

    close: () => pool.end(),
  };
}

interface DeletionRow {
  readonly user_id: string;
  readonly id: string;
  readonly login: string;
  readonly created_at: string | null;
}

function deletionFrom({ user_id, id, login, created_at }: DeletionRow): Deletion {
  return { replId: id, owner: { id: user_id, login }, ...(created_at ? { createdAt: created_at } : {}) };
}

/** The server's words name tables and hosts, and never the password. */
function unavailable(error: unknown): ReplError {
  return new ReplError("unavailable", `The registry's database does not answer: ${messageOf(error)}`, { cause: error });
}
