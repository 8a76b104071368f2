import { accessUrl } from "./naming.ts";
import type { Cluster, ReadTruth, Registry } from "./ports.ts";

/** The truth about a user's REPLs: which there are says the registry, which of them run says the cluster. */
export function createReadTruth(
  registry: Pick<Registry, "list">,
  cluster: Pick<Cluster, "listSessions">,
  runnerUrl: string,
): ReadTruth {
  return async (userId) => {
    const [records, sessions] = await Promise.all([registry.list(userId), cluster.listSessions(userId)]);
    return records.map((record) => {
      const session = sessions.find(({ replId }) => replId === record.id);
      if (!session) return { record };
      const state = session.ending ?? (session.isReady ? "running" : "starting");
      const url = state === "running" ? { url: accessUrl(runnerUrl, record.id) } : {};
      return { record, session: { id: session.id, state, ...url }, isCreating: !record.lastOpenedAt };
    });
  };
}
