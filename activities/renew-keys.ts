import type { Session } from "../domain/repl.ts";
import { secretManifest } from "../manifests/session-objects.ts";
import type { Ports } from "./ports.ts";

/** Gives a session fresh keys of the object store in its Secret, where they are short-lived. May be repeated. */
export function createRenewKeys({ credentials, registry, cluster, runnerTokenFor, settings }: Ports) {
  return async (session: Session): Promise<void> => {
    if (!credentials.lifetimeSeconds) return;
    const record = await registry.read(session.userId, session.replId);
    if (!record) return;
    const plan = { session, runnerToken: runnerTokenFor(session) };
    await cluster.applySession(session, [secretManifest(plan, await credentials.issue(record), settings)]);
  };
}
