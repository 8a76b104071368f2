import { proxyActivities } from "@temporalio/workflow";
import type { Activities } from "../activities/index.ts";

/** The retry policy of every step, on one screen. Final errors are marked where they arise (activities/failure.ts). */

const retry = { initialInterval: "200 milliseconds", backoffCoefficient: 2, maximumInterval: "1 minute" } as const;

/** The worker beats for every step (activities/lease.ts): one that is gone is noticed within this. */
const heartbeatTimeout = "10 seconds";

/** Steps of a start: bounded, because somebody waits and everything can be undone. */
export const {
  reserveRepl,
  reserveSession,
  copyTemplate,
  claimSession,
  reopenSession,
  applyManifests,
  publishSession,
} = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "30 seconds",
  scheduleToCloseTimeout: "1 minute",
  // A cancelled step ends before its undo begins: one that went on beside it would make again what was removed.
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
  retry: { ...retry, maximumInterval: "5 seconds" },
});

/** The same step for a copy of another REPL's save: as long as its files take, and each attempt goes on where the one before ended. */
export const { copyTemplate: copySave } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "30 minutes",
  scheduleToCloseTimeout: "2 hours",
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
  retry: { ...retry, maximumInterval: "5 seconds" },
});

/** The start of a container: it has a limit of its own. */
export const { waitUntilReady } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "9 minutes",
  scheduleToCloseTimeout: "9 minutes",
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
  retry: { ...retry, maximumAttempts: 5 },
});

/** Undoing and removing: never given up, or something would be left behind. */
export const {
  releaseRepl,
  releaseSession,
  forgetRepl,
  removeFiles,
  removeNewFiles,
  removeResources,
  withdrawSession,
  findSession,
} = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "2 minutes",
  retry,
});

/** The user's work: retried without end, so that an operator can pause it, mend the cause and let it go on. */
export const { saveWorkspace, rescueWorkspace } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "1 hour",
  retry,
});

/** Copies within the object store: long, but nothing waits in a pod for it. */
export const { restoreSave } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "30 minutes",
  scheduleToCloseTimeout: "1 hour",
  retry: { ...retry, maximumAttempts: 5 },
});

/** A look at everything; the next run of its Schedule comes soon. */
export const { reviewSessions, reviewRemains } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "5 minutes",
  retry: { ...retry, maximumAttempts: 3 },
});

/** The next run of its Schedule goes on where this one gave up. */
export const { pruneOldSaves } = proxyActivities<Activities>({
  heartbeatTimeout,
  startToCloseTimeout: "6 hours",
  retry: { ...retry, maximumAttempts: 3 },
});
