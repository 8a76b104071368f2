import { statusEvent } from "../domain/events.ts";
import type { ReplDirectory, ReplEvents } from "../domain/ports.ts";

/** The same look-ups, with each change of a REPL's state told to whoever follows it. */
export function announceChanges(directory: ReplDirectory, events: Pick<ReplEvents, "publish">): ReplDirectory {
  async function announce(userId: string, replId: string): Promise<void> {
    const repls = await directory.list(userId).catch(() => []);
    const repl = repls.find(({ id }) => id === replId);
    if (repl) events.publish(replId, statusEvent(repl));
  }

  return {
    ...directory,
    async reserve(repl, session, limits, status) {
      const place = await directory.reserve(repl, session, limits, status);
      await announce(session.userId, repl.id);
      return place;
    },
    async publish(session, url, repl, place, limits) {
      await directory.publish(session, url, repl, place, limits);
      await announce(session.userId, repl.id);
    },
    async setState(session, state, reason) {
      await directory.setState(session, state, reason);
      await announce(session.userId, session.replId);
    },
    async withdraw(session, outcome) {
      await directory.withdraw(session, outcome);
      await announce(session.userId, session.replId);
    },
    async forget(userId, replId) {
      await directory.forget(userId, replId);
      events.publish(replId, { type: "status", at: new Date().toISOString(), status: "deleted" });
    },
  };
}
