import { ReplError } from "../domain/errors.ts";
import type { Session } from "../domain/repl.ts";
import type { StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/**
 * Finds the session that runs already (its pod may hold work that no save has), or makes this one the only
 * writer of the REPL's files. Returns the session to go on with. Throws `not_found` when the REPL is gone, `conflict`
 * when its deletion has begun. May be repeated.
 */
export function createClaimSession({ registry, cluster }: Ports) {
  return async ({ repl, session }: StartInput): Promise<Session> => {
    const [running, isBeingDeleted] = await Promise.all([
      cluster.findSession(repl.id),
      registry.hasDeletion(repl.owner.id, repl.id),
    ]);
    if (isBeingDeleted) throw new ReplError("conflict", "This REPL is being deleted.");
    if (running && running.userId !== session.userId)
      throw new ReplError("conflict", "The cluster runs this REPL for somebody else.");
    const writer = running ? { id: running.id, replId: running.replId, userId: running.userId } : session;
    await registry.update(repl.owner.id, repl.id, (record) => ({ ...record, sessionId: writer.id }));
    return writer;
  };
}
