import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";
import { failureReported } from "../domain/save.ts";
import { reopenContainer } from "../manifests/sync-container.ts";
import type { SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/**
 * Lets people into a session again whose close has begun and did not come to its end: ends a save that is being tried in
 * its pod, and takes back that it is being closed. Does nothing for any other session. Throws `unavailable`. Idempotent.
 */
export function createReopenSession({ cluster, settings }: Ports) {
  return async ({ session }: SessionInput): Promise<void> => {
    const context = Context.current();
    const running = (await cluster.listSessions(session.userId)).find(({ id }) => id === session.id);
    if (running?.ending !== "stopping") return;
    const attempt = await cluster.runInPod(
      session,
      (name) => reopenContainer(session, settings, name),
      context.cancellationSignal,
      (state) => context.heartbeat(state),
    );
    if ("nothing" in attempt)
      throw new ReplError("unavailable", `The close of this REPL cannot be taken back: ${attempt.detail}`);
    if (attempt.exitCode !== 0)
      throw new ReplError(
        "unavailable",
        `The close of this REPL cannot be taken back: ${failureReported(attempt.message)}`,
      );
    await cluster.note(session, { ending: null });
  };
}
