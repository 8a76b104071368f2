import { errorEvent } from "../domain/events.ts";
import type { Place } from "../domain/ports.ts";
import type { ReplInput, SessionInput, StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** Takes the REPL's place in its owner's quota; publishSession confirms it. Throws `quota_exceeded`, and `conflict` when another session runs. May be repeated. */
export function createReserveRepl({ directory, limits }: Ports) {
  return ({ repl, session }: StartInput): Promise<Place> => directory.reserve(repl, session, limits, "creating");
}

/** Takes a place among the open ones for a REPL that exists. Throws `quota_exceeded`, and `conflict` when another session runs. May be repeated. */
export function createReserveSession({ directory, limits }: Ports) {
  return ({ repl, session }: StartInput): Promise<Place> => directory.reserve(repl, session, limits, "starting");
}

/** Undoes {@link createReserveRepl}: frees the place, and forgets the REPL unless the registry has it. */
export function createReleaseRepl({ directory, registry, events }: Ports) {
  return async ({ repl, session, failure }: StartInput & { readonly failure: string }): Promise<void> => {
    events.publish(repl.id, errorEvent(failure));
    if (await registry.read(repl.owner.id, repl.id)) await directory.withdraw(session, {});
    // In one call: a REPL that is listed without a session and without a record would be found by nobody.
    else await directory.forget(repl.owner.id, repl.id);
  };
}

/** Undoes {@link createReserveSession}: frees the open place. Does nothing when it is another session's. */
export function createReleaseSession({ directory, events }: Ports) {
  return async ({ session, failure }: SessionInput & { readonly failure: string }): Promise<void> => {
    events.publish(session.replId, errorEvent(failure));
    await directory.withdraw(session, { failure });
  };
}

/**
 * Removes every trace of a REPL from the look-ups, unless one of this id has been created since, and last the note of
 * its deletion: until then the reconciler begins an interrupted one again. May be repeated.
 */
export function createForgetRepl({ directory, registry }: Ports) {
  return async ({ replId, owner, createdAt }: ReplInput): Promise<void> => {
    const record = await registry.read(owner.id, replId);
    if (!record) await directory.forget(owner.id, replId);
    const noted = await registry.findDeletion(owner.id, replId);
    if (!noted || (record && noted.createdAt === record.createdAt) || (createdAt && noted.createdAt !== createdAt))
      return;
    await registry.endDeletion(owner.id, replId);
  };
}
