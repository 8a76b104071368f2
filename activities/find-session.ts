import type { Session, SessionState } from "../domain/repl.ts";
import type { ReplInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/**
 * Finds the REPL's session where the truth is, in the cluster, and marks it in the look-ups. Undefined when
 * none runs; then a mark that says otherwise is removed. What is to become of session and REPL is noted where the
 * reconciler finds it when this run is terminated and the look-ups are gone. May be repeated.
 */
export function createFindSession({ cluster, directory, registry }: Ports) {
  return async ({
    replId,
    owner,
    state,
    reason,
  }: ReplInput & { readonly state: SessionState; readonly reason?: string }): Promise<Session | undefined> => {
    if (state === "deleting") {
      const record = await registry.read(owner.id, replId);
      await registry.noteDeletion({ replId, owner, ...(record ? { createdAt: record.createdAt } : {}) });
    }
    const running = await cluster.findSession(replId);
    if (running) {
      const session = { id: running.id, replId, userId: running.userId };
      if (state === "stopping" || state === "deleting") await cluster.note(session, { ending: state });
      await directory.setState(session, state, reason && `It is closed because ${reason}.`);
      return session;
    }
    const marked = await directory.activeSession(owner.id, replId);
    if (marked) await directory.withdraw({ id: marked.id, replId, userId: owner.id }, {});
    return undefined;
  };
}
