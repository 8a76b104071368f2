import { updateRecord } from "../domain/registry.ts";
import type { SaveSummary } from "../domain/save.ts";
import type { SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** Notes the opening in the registry and tells the look-ups that the session answers at `url`. May be repeated. */
export function createPublishSession({ directory, store }: Ports) {
  return async ({ session, url }: SessionInput & { readonly url: string }): Promise<void> => {
    const openedAt = new Date().toISOString();
    const repl = await updateRecord(store, session.userId, session.replId, (record) => ({
      ...record,
      lastOpenedAt: openedAt,
    }));
    await directory.publish(session, url, repl);
  };
}

/** Takes the session out of the look-ups and notes its last save. Does nothing when it is another session's. */
export function createWithdrawSession({ directory }: Ports) {
  return ({ session, save }: SessionInput & { readonly save: SaveSummary }): Promise<void> =>
    directory.withdraw(session, { save });
}
