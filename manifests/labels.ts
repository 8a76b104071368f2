import { label } from "../domain/naming.ts";
import type { Session } from "../domain/repl.ts";

/** On every object of a session: whose it is, and which run of it. */
export function sessionLabels(session: Session): Record<string, string> {
  return {
    [label.name]: "devex-repl",
    [label.managedBy]: "devex",
    [label.replId]: session.replId,
    [label.sessionId]: session.id,
    [label.userId]: session.userId,
  };
}

/**
 * Finds the pods of one session. Not of the REPL: right after a close the pod before is still on its way out,
 * and whoever opens again must never reach it.
 */
export function podSelector(session: Session): Record<string, string> {
  return { [label.name]: "devex-repl", [label.replId]: session.replId, [label.sessionId]: session.id };
}
