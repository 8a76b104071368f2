import { rescuedLogin } from "../domain/rescue.ts";
import type { Session } from "../domain/repl.ts";
import { secretManifest } from "../manifests/session-objects.ts";
import type { Ports } from "./ports.ts";

/** Gives a session fresh keys of the object store in its Secret, where they are short-lived. May be repeated. */
export function createRenewKeys({ credentials, registry, cluster, runnerTokenFor, settings }: Ports) {
  return async (session: Session): Promise<void> => {
    if (!credentials.lifetimeSeconds) return;
    const { userId, replId } = session;
    // An orphan may have none; its keys open where it is saved aside.
    const repl = (await registry.read(userId, replId)) ?? { id: replId, owner: { id: userId, login: rescuedLogin } };
    const plan = { session, runnerToken: runnerTokenFor(session) };
    await cluster.applySession(session, [secretManifest(plan, await credentials.issue(repl), settings)]);
  };
}
