import type { Cluster, RunningSession } from "./ports.ts";

/** All sessions of the cluster, never more than a page of them at once. */
export async function* pagesOfSessions(
  cluster: Pick<Cluster, "pageOfSessions">,
): AsyncGenerator<readonly RunningSession[]> {
  let cursor: string | undefined;
  do {
    const { sessions, next } = await cluster.pageOfSessions(cursor);
    yield sessions;
    cursor = next;
  } while (cursor);
}
