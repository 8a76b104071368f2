import { ReplError } from "../domain/errors.ts";
import { Context } from "@temporalio/activity";
import { accessUrl } from "../domain/naming.ts";
import type { Place, ReplDirectory } from "../domain/ports.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";
import { ifUnavailable } from "./failure.ts";
import type { SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/**
 * Notes the opening in the registry and tells the look-ups that the session answers at `url`. Throws
 * `quota_exceeded` when the look-ups were flushed since the place was taken and others hold it now, `conflict` when the
 * session is not the writer (any more). May be repeated.
 */
export function createPublishSession({ directory, registry, limits }: Ports) {
  return async ({
    session,
    url,
    place,
  }: SessionInput & { readonly url: string; readonly place: Place }): Promise<void> => {
    const openedAt = new Date().toISOString();
    let before: ReplRecord | undefined;
    const repl = await registry.update(session.userId, session.replId, (record) => {
      before = record;
      if (record.sessionId !== session.id || record.endedSession === session.id)
        throw new ReplError("conflict", "This session has ended meanwhile.");
      return { ...record, lastOpenedAt: openedAt, lastOpenedSession: session.id };
    });
    await directory.publish(session, url, repl, place, limits).catch(async (error: unknown) => {
      // Nobody is told of it, and it is undone: it was not opened.
      if (error instanceof ReplError && error.code === "quota_exceeded")
        await registry.update(session.userId, session.replId, (record) => notOpened(record, before, session));
      throw error;
    });
  };
}

function notOpened(record: ReplRecord, before: ReplRecord | undefined, { id }: Session): ReplRecord {
  if (record.lastOpenedSession !== id || !before || before.lastOpenedSession === id) return record;
  const { lastOpenedSession: _, lastOpenedAt: __, ...rest } = record;
  const { lastOpenedAt, lastOpenedSession } = before;
  return { ...rest, ...(lastOpenedAt ? { lastOpenedAt } : {}), ...(lastOpenedSession ? { lastOpenedSession } : {}) };
}

/** Makes the look-ups say that a session runs which the cluster runs already, whatever they said and whatever the quota is. */
export async function adoptSession(
  directory: Pick<ReplDirectory, "publish">,
  session: Session,
  repl: ReplRecord,
  runnerUrl: string,
): Promise<void> {
  const noPlace = { epoch: "", isCreating: false };
  const noLimits = { maxRepls: Number.MAX_SAFE_INTEGER, maxActive: Number.MAX_SAFE_INTEGER };
  await directory.publish(session, accessUrl(runnerUrl, session.replId), repl, noPlace, noLimits);
}

/**
 * Takes a session that has ended out of the look-ups, and tells them what the registry says since. A REPL that the
 * registry does not have was never made, or is gone: nothing of it stays listed.
 */
export async function withdrawEnded(
  { directory, registry }: Pick<Ports, "directory" | "registry">,
  session: Session,
): Promise<void> {
  const repl = await registry.read(session.userId, session.replId);
  if (repl) await directory.withdraw(session, { repl });
  // In one call: a REPL that is listed without a session and without a record would be found by nobody.
  else await directory.forget(session.userId, session.replId);
}

/** These are over in three seconds. */
const triesOfWithdrawal = 5;

/**
 * Takes the session out of the look-ups and tells them of its last save. Does nothing when it is another session's.
 * Its pod is gone, so the close does not wait for look-ups that stay away: the reconciler tells them later.
 * May be repeated.
 */
export function createWithdrawSession(ports: Ports) {
  return ({ session }: SessionInput): Promise<void> =>
    withdrawEnded(ports, session).catch((error: unknown) => {
      if (Context.current().info.attempt < triesOfWithdrawal) throw error;
      return ifUnavailable(error);
    });
}
