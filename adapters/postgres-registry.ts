import { fileURLToPath } from "node:url";
import { Pool, type PoolClient, type QueryResultRow } from "pg";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { Registry } from "../domain/ports.ts";
import type { ReplRecord } from "../domain/repl.ts";

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

  const read: Registry["read"] = async (userId, replId) =>
    (await rows<{ record: ReplRecord }>("select record from repl where user_id = $1 and id = $2", [userId, replId]))[0]
      ?.record;

  return {
    home: "postgres",
    read,

    async list(userId) {
      const found = await rows<{ record: ReplRecord }>("select record from repl where user_id = $1", [userId]);
      return found.map(({ record }) => record);
    },

    names: () => rows<{ userId: string; replId: string }>(`select user_id as "userId", id as "replId" from repl`),

    async create(record) {
      const { id, owner, createdAt } = record;
      const sql = "insert into repl (user_id, id, record) values ($1, $2, $3) on conflict do nothing returning id";
      const [made] = await rows(sql, [owner.id, id, JSON.stringify(record)]);
      if (!made && (await read(owner.id, id))?.createdAt !== createdAt)
        throw new ReplError("conflict", `There is another ${id}.`);
    },

    update: (userId, replId, change) =>
      inTransaction(async (client) => {
        const sql = "select record from repl where user_id = $1 and id = $2 for update";
        const found = (await client.query<{ record: ReplRecord }>(sql, [userId, replId])).rows[0];
        if (!found) throw new ReplError("not_found", "There is no such REPL.");
        const record = change(found.record);
        const values = [userId, replId, JSON.stringify(record)];
        await client.query("update repl set record = $3 where user_id = $1 and id = $2", values);
        return record;
      }),

    async remove(userId, replId) {
      await rows("delete from repl where user_id = $1 and id = $2", [userId, replId]);
    },

    async noteDeletion({ replId, owner }) {
      const sql = "insert into repl_deletion (user_id, id, login) values ($1, $2, $3) on conflict do nothing";
      await rows(sql, [owner.id, replId, owner.login]);
    },

    async hasDeletion(userId, replId) {
      return (await rows("select from repl_deletion where user_id = $1 and id = $2", [userId, replId])).length > 0;
    },

    async deletions() {
      const found = await rows<{ user_id: string; id: string; login: string }>("select * from repl_deletion");
      return found.map(({ user_id, id, login }) => ({ replId: id, owner: { id: user_id, login } }));
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

/** The server's words name tables and hosts, and never the password. */
function unavailable(error: unknown): ReplError {
  return new ReplError("unavailable", `The registry's database does not answer: ${messageOf(error)}`, { cause: error });
}
