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

/** Finds the pods of a REPL, whichever session made them: a Deployment's selector can never change. */
export function podSelector(replId: string): Record<string, string> {
  return { [label.name]: "devex-repl", [label.replId]: replId };
}
