import { ReplError } from "../domain/errors.ts";
import { sessionObjects } from "../manifests/session-objects.ts";
import type { SessionInput, StartInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** Makes the session's Secret, Deployment, Service and Ingress so. Throws `conflict` when another session's are there. May be repeated. */
export function createApplyManifests({ cluster, credentials, runnerTokenFor, settings }: Ports) {
  return async ({ repl, session, template, ticketKey }: StartInput): Promise<void> => {
    const [running, keys] = await Promise.all([cluster.findSession(repl.id), credentials.issue(repl)]);
    // Applying over another session would replace its pod, and the work in it.
    if (running && running.id !== session.id)
      throw new ReplError("conflict", "Another session of this REPL is running.");
    const plan = { repl, session, template, ticketKey, runnerToken: runnerTokenFor(session) };
    await cluster.apply(sessionObjects(plan, keys, settings));
  };
}

/** Removes this session's objects, and no other's. May be repeated. */
export function createRemoveResources({ cluster }: Ports) {
  return ({ session }: SessionInput): Promise<void> => cluster.remove(session);
}
