import { adoptSession } from "../activities/publish-session.ts";
import type { Logger } from "../config/logger.ts";
import { errorEvent, warningEvent } from "../domain/events.ts";
import type { Cluster, PodNews, Registry, ReplDirectory, ReplEvents } from "../domain/ports.ts";
import { messageOf } from "../domain/errors.ts";
import type { Session } from "../domain/repl.ts";
import { noteGone } from "../domain/save-pointer.ts";

interface WatchOptions {
  readonly cluster: Cluster;
  readonly registry: Pick<Registry, "read" | "update">;
  readonly directory: ReplDirectory;
  readonly events: Pick<ReplEvents, "publish">;
  readonly logger: Logger;
  readonly runnerUrl: string;
}

/**
 * Tells owners within seconds when the container of an open REPL is lost, and when its successor, which the cluster
 * starts from the newest save, is ready; and notes in the record that the pod is gone, so that its successor does not
 * wait for a last checkpoint that never comes. Sessions that are being ended are left alone. Nothing depends on it:
 * what it misses the reconciler finds, and a successor waits no longer than a pod may take to end.
 */
export async function watchSessions(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { cluster, logger } = options;
  const handle = createPodNewsHandler(options);
  await cluster.watchSessions(signal, (news) => {
    handle(news).catch((error: unknown) =>
      logger.warn({ event: "pod news", replId: news.session.replId, reason: messageOf(error) }),
    );
  });
}

export function createPodNewsHandler({ cluster, registry, directory, events, logger, runnerUrl }: WatchOptions) {
  const troubled = new Set<string>();

  /** A session that is being ended loses its pod because it should. */
  async function isOpen(session: Session): Promise<boolean> {
    const running = (await cluster.listSessions(session.userId)).find(({ id }) => id === session.id);
    return running !== undefined && running.ending === undefined;
  }

  async function tellOfTrouble(session: Session, trouble: string): Promise<void> {
    const known = await directory.activeSession(session.userId, session.replId);
    // Whose start is under way hears of it from the workflow.
    if (known?.state !== "running" && !troubled.has(session.id)) return;
    troubled.add(session.id);
    logger.warn({ event: "pod lost", replId: session.replId, sessionId: session.id, reason: trouble });
    await directory.setState(session, "starting", `Interrupted: ${trouble}.`);
    events.publish(session.replId, errorEvent(`Interrupted: ${trouble}.`));
  }

  async function tellOfReturn(session: Session): Promise<void> {
    const record = await registry.read(session.userId, session.replId);
    if (!record) return;
    troubled.delete(session.id);
    await adoptSession(directory, session, record, runnerUrl);
    const { lastLoss } = record;
    const from = lastLoss?.sessionId === session.id ? ` from save ${lastLoss.generation}` : "";
    logger.info({ event: "pod back", replId: session.replId, sessionId: session.id });
    events.publish(session.replId, warningEvent(`It runs again${from}.`));
  }

  return async ({ session, trouble, gone }: PodNews): Promise<void> => {
    const isBack = !trouble && !gone;
    if (isBack && !troubled.has(session.id)) return;
    if (!(await isOpen(session))) return void troubled.delete(session.id);
    await Promise.all([
      ...(gone ? [noteGone(registry, session, gone)] : []),
      ...(trouble ? [tellOfTrouble(session, trouble)] : []),
      ...(isBack ? [tellOfReturn(session)] : []),
    ]);
  };
}
