import { readRecord, readRecords } from "../domain/registry.ts";
import type { ReplInput, SessionInput, StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** Takes the REPL's place in its owner's quota. Throws `quota_exceeded`, and `conflict` when another session runs. May be repeated. */
export function createReserveRepl(ports: Ports) {
  return (input: StartInput): Promise<void> => reserve(ports, input, "creating");
}

/** Takes a place among the open ones for a REPL that exists. Throws `quota_exceeded`, and `conflict` when another session runs. May be repeated. */
export function createReserveSession(ports: Ports) {
  return (input: StartInput): Promise<void> => reserve(ports, input, "starting");
}

/** Places are counted among what the look-ups know, so they are filled from the registry first where they were flushed. */
async function reserve(
  { directory, store, limits }: Ports,
  { repl, session }: StartInput,
  status: "creating" | "starting",
): Promise<void> {
  if (!(await directory.list(session.userId)))
    await directory.remember(repl.owner, await readRecords(store, session.userId));
  await directory.reserve(repl, session, limits, status);
}

/** Undoes {@link createReserveRepl}: frees the place, and forgets the REPL unless the registry has it. */
export function createReleaseRepl({ directory, store }: Ports) {
  return async ({ repl, session }: StartInput): Promise<void> => {
    await directory.withdraw(session, {});
    if (!(await readRecord(store, repl.owner.id, repl.id))) await directory.forget(repl.owner.id, repl.id);
  };
}

/** Undoes {@link createReserveSession}: frees the open place. Does nothing when it is another session's. */
export function createReleaseSession({ directory }: Ports) {
  return ({ session, failure }: SessionInput & { readonly failure: string }): Promise<void> =>
    directory.withdraw(session, { failure });
}

/** Removes every trace of a REPL from the look-ups. */
export function createForgetRepl({ directory }: Ports) {
  return ({ replId, owner }: ReplInput): Promise<void> => directory.forget(owner.id, replId);
}
