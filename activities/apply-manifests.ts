import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";
import { sessionObjects } from "../manifests/session-objects.ts";
import type { RemoveResourcesInput, StartInput } from "./inputs.ts";
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

/** A pod ends in two seconds. Of one whose node is lost nobody hears any more. */
const longestEndMs = 30_000;

/** Removes this session's objects, and no other's. May be repeated. */
export function createRemoveResources({ cluster }: Ports) {
  return async ({ session, untilGone }: RemoveResourcesInput): Promise<void> => {
    await cluster.remove(session);
    if (!untilGone) return;
    const { cancellationSignal } = Context.current();
    await cluster.waitUntilGone(session, AbortSignal.any([cancellationSignal, AbortSignal.timeout(longestEndMs)]));
  };
}
