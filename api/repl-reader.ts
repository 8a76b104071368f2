import { ReplError } from "../domain/errors.ts";
import type { ObjectStore, ReplDirectory } from "../domain/ports.ts";
import { readRecord, readRecords } from "../domain/registry.ts";
import { parseReplId, type Repl, type ReplId, type User } from "../domain/repl.ts";

export type ReplReader = ReturnType<typeof createReplReader>;

/** Reads REPLs from the look-ups, and fills those from the registry where they have been flushed. */
export function createReplReader({
  directory,
  store,
}: {
  readonly directory: ReplDirectory;
  readonly store: ObjectStore;
}) {
  async function find(user: User, replId: ReplId): Promise<Repl | undefined> {
    const known = await directory.get(replId);
    if (known) return known.owner.id === user.id ? known : undefined;
    const record = await readRecord(store, user.id, replId);
    if (!record) return undefined;
    const list = await refill(user);
    return list.find((repl) => repl.id === replId);
  }

  async function refill(user: User): Promise<Repl[]> {
    await directory.remember(user, await readRecords(store, user.id));
    return (await directory.list(user.id)) ?? [];
  }

  return {
    find,
    /** Throws `not_found` also for somebody else's: nobody learns which ids exist. */
    async get(user: User, id: string): Promise<Repl> {
      const repl = await find(user, parseReplId(id));
      if (!repl) throw new ReplError("not_found", "There is no such REPL.");
      return repl;
    },
    async list(user: User): Promise<Repl[]> {
      return (await directory.list(user.id)) ?? refill(user);
    },
  };
}
