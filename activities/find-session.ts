import type { Session, SessionState } from "../domain/repl.ts";
import type { ReplInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/**
 * Finds the REPL's session where the truth is, in the cluster, and marks it in the look-ups. Undefined when
 * none runs; then a mark that says otherwise is removed. May be repeated.
 */
export function createFindSession({ cluster, directory }: Ports) {
  return async ({
    replId,
    owner,
    state,
  }: ReplInput & { readonly state: SessionState }): Promise<Session | undefined> => {
    const running = await cluster.findSession(replId);
    if (running) {
      const session = { id: running.id, replId, userId: running.userId };
      await directory.setState(session, state);
      return session;
    }
    const marked = await directory.activeSession(owner.id, replId);
    if (marked) await directory.withdraw({ id: marked.id, replId, userId: owner.id }, {});
    return undefined;
  };
}
