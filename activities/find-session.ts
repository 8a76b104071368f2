import { ReplError } from "../domain/errors.ts";
import { openSessionOf, type Session, type SessionState } from "../domain/repl.ts";
import { ifUnavailable } from "./failure.ts";
import type { ReplInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";
import { withdrawEnded } from "./publish-session.ts";

/**
 * Finds the REPL's session where the truth is, in the cluster, and marks it in the look-ups. Undefined when
 * none runs, and none is open by the record either; then a mark that says otherwise is removed. What is to become of session and REPL is noted where the
 * reconciler finds it when this run is terminated and the look-ups are gone. Look-ups that are away keep nobody from
 * it: the reconciler tells them later. May be repeated.
 */
export function createFindSession(ports: Ports) {
  const { cluster, directory, registry } = ports;
  async function clearMark({ replId, owner }: ReplInput): Promise<void> {
    const marked = await directory.activeSession(owner.id, replId);
    if (marked) await withdrawEnded(ports, { id: marked.id, replId, userId: owner.id });
  }

  /** False where the REPL is another one by now: what was asked for is done already. */
  async function noteDeletion({ replId, owner, createdAt }: ReplInput): Promise<boolean> {
    const record = await registry.read(owner.id, replId);
    if (record && createdAt && record.createdAt !== createdAt) return false;
    const noted = await registry.findDeletion(owner.id, replId);
    // Of an earlier REPL of this id, whose removal was interrupted.
    if (record && noted && noted.createdAt !== record.createdAt) await registry.endDeletion(owner.id, replId);
    const about = record?.createdAt ?? createdAt;
    await registry.noteDeletion({ replId, owner, ...(about ? { createdAt: about } : {}) });
    if (!(await registry.findDeletion(owner.id, replId)))
      throw new ReplError("unavailable", `The note that ${replId} is being deleted does not read back.`);
    return true;
  }

  return async ({
    replId,
    owner,
    createdAt,
    state,
    reason,
  }: ReplInput & { readonly state: SessionState; readonly reason?: string }): Promise<Session | undefined> => {
    const repl = { replId, owner, ...(createdAt ? { createdAt } : {}) };
    if (state === "deleting" && !(await noteDeletion(repl))) return undefined;
    const running = await cluster.findSession(replId);
    if (running) {
      const session = { id: running.id, replId, userId: running.userId };
      if (state === "stopping" || state === "deleting") await cluster.note(session, { ending: state });
      await directory.setState(session, state, reason && `It is closed because ${reason}.`).catch(ifUnavailable);
      return session;
    }
    // The cluster's word alone is not believed against the record's: whoever saves looks at the pods, and says what is lost.
    const record = await registry.read(owner.id, replId);
    const open = record && openSessionOf(record);
    if (open) return open;
    // Asked in another way too, where the answer is that there is nothing to save.
    if ((await cluster.listSessions(owner.id)).some((session) => session.replId === replId))
      throw new ReplError("unavailable", "The cluster shows this REPL's session in one list and not in another.");
    await clearMark({ replId, owner }).catch(ifUnavailable);
    return undefined;
  };
}
