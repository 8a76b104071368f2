import { ReplError } from "../domain/errors.ts";
import type { ReadTruth, Registry, ReplDirectory } from "../domain/ports.ts";
import {
  byCreation,
  parseReplId,
  replFrom,
  type Repl,
  type ReplId,
  type ReplRecord,
  type User,
} from "../domain/repl.ts";

export type ReplReader = ReturnType<typeof createReplReader>;

/** Reads a user's REPLs from the look-ups; while those are away from the registry and the cluster, more slowly. */
export function createReplReader({
  directory,
  registry,
  readTruth,
}: {
  readonly directory: Pick<ReplDirectory, "list">;
  readonly registry: Pick<Registry, "read">;
  readonly readTruth: ReadTruth;
}) {
  /** Newest first. The same array again as long as nothing has changed. */
  const list = (user: User): Promise<readonly Repl[]> =>
    directory.list(user.id).catch(async (error: unknown) => {
      if (!(error instanceof ReplError && error.code === "unavailable")) throw error;
      return (await readTruth(user.id)).map(replFrom).sort(byCreation);
    });

  return {
    list,
    async find(user: User, replId: ReplId): Promise<Repl | undefined> {
      return one(replId, await list(user));
    },
    /** Throws `not_found` also for somebody else's: nobody learns which ids exist. */
    async get(user: User, id: string): Promise<Repl> {
      const repl = one(parseReplId(id), await list(user));
      if (!repl) throw noSuchRepl();
      return repl;
    },
    /**
     * By the registry: the look-ups may not have heard of its newest save. One that is being created has no record yet.
     * Throws `not_found`, `unavailable`.
     */
    async record(user: User, id: string): Promise<ReplRecord> {
      const replId = parseReplId(id);
      const record = (await registry.read(user.id, replId)) ?? one(replId, await list(user));
      if (!record) throw noSuchRepl();
      return record;
    },
  };
}

const noSuchRepl = () => new ReplError("not_found", "There is no such REPL.");
const one = (replId: ReplId, repls: readonly Repl[]): Repl | undefined => repls.find(({ id }) => id === replId);
