import type { Session, SessionState } from "../domain/repl.ts";
import { ifUnavailable } from "./failure.ts";
import type { ReplInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { withdrawEnded } from "./publish-session.ts";

/**
 * Finds the REPL's session where the truth is, in the cluster, and marks it in the look-ups. Undefined when
 * none runs; then a mark that says otherwise is removed. What is to become of session and REPL is noted where the
 * reconciler finds it when this run is terminated and the look-ups are gone. Look-ups that are away keep nobody from
 * it: the reconciler tells them later. May be repeated.
 */
export function createFindSession(ports: Ports) {
  const { cluster, directory, registry } = ports;
  async function clearMark({ replId, owner }: ReplInput): Promise<void> {
    const marked = await directory.activeSession(owner.id, replId);
    if (marked) await withdrawEnded(ports, { id: marked.id, replId, userId: owner.id });
  }

  async function noteDeletion({ replId, owner }: ReplInput): Promise<void> {
    const record = await registry.read(owner.id, replId);
    const noted = await registry.findDeletion(owner.id, replId);
    // Of an earlier REPL of this id, whose removal was interrupted.
    if (record && noted?.createdAt && noted.createdAt !== record.createdAt)
      await registry.endDeletion(owner.id, replId);
    await registry.noteDeletion({ replId, owner, ...(record ? { createdAt: record.createdAt } : {}) });
  }

  return async ({
    replId,
    owner,
    state,
    reason,
  }: ReplInput & { readonly state: SessionState; readonly reason?: string }): Promise<Session | undefined> => {
    if (state === "deleting") await noteDeletion({ replId, owner });
    const running = await cluster.findSession(replId);
    if (running) {
      const session = { id: running.id, replId, userId: running.userId };
      if (state === "stopping" || state === "deleting") await cluster.note(session, { ending: state });
      await directory.setState(session, state, reason && `It is closed because ${reason}.`).catch(ifUnavailable);
      return session;
    }
    await clearMark({ replId, owner }).catch(ifUnavailable);
    return undefined;
  };
}
