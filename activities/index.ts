import { createApplyManifests, createRemoveResources } from "./apply-manifests.ts";
import { createClaimSession } from "./claim-session.ts";
import { createCopyTemplate } from "./copy-template.ts";
import { createRemoveFiles, createRemoveNewFiles } from "./remove-files.ts";
import { createFindSession } from "./find-session.ts";
import { fenced, withLeases } from "./lease.ts";
import type { Ports } from "./ports.ts";
import { createPruneSaves } from "./prune-saves.ts";
import { createPublishSession, createWithdrawSession } from "./publish-session.ts";
import {
  createForgetRepl,
  createReleaseRepl,
  createReleaseSession,
  createReserveRepl,
  createReserveSession,
} from "./reserve-repl.ts";
import { createReopenSession } from "./reopen-session.ts";
import { createReviewRemains } from "./review-remains.ts";
import { createReviewSessions } from "./review-sessions.ts";
import { createRescueWorkspace } from "./rescue-workspace.ts";
import { createRestoreSave } from "./restore-save.ts";
import { createSaveWorkspace } from "./save-workspace.ts";
import { createWaitUntilReady } from "./wait-until-ready.ts";

export type Activities = ReturnType<typeof createActivities>;

/** All side effects of the workflows, bound to what they speak to. Each runs with a lease, and changes nothing without it. */
export function createActivities(unfenced: Ports) {
  const ports: Ports = {
    ...unfenced,
    store: fenced(unfenced.store),
    registry: fenced(unfenced.registry),
    cluster: fenced(unfenced.cluster),
    directory: fenced(unfenced.directory),
  };
  return withLeases({
    reserveRepl: createReserveRepl(ports),
    reserveSession: createReserveSession(ports),
    releaseRepl: createReleaseRepl(ports),
    releaseSession: createReleaseSession(ports),
    forgetRepl: createForgetRepl(ports),
    copyTemplate: createCopyTemplate(ports),
    removeNewFiles: createRemoveNewFiles(ports),
    removeFiles: createRemoveFiles(ports),
    claimSession: createClaimSession(ports),
    reopenSession: createReopenSession(ports),
    applyManifests: createApplyManifests(ports),
    removeResources: createRemoveResources(ports),
    waitUntilReady: createWaitUntilReady(ports),
    publishSession: createPublishSession(ports),
    withdrawSession: createWithdrawSession(ports),
    findSession: createFindSession(ports),
    saveWorkspace: createSaveWorkspace(ports),
    rescueWorkspace: createRescueWorkspace(ports),
    restoreSave: createRestoreSave(ports),
    reviewSessions: createReviewSessions(ports),
    reviewRemains: createReviewRemains(ports),
    pruneOldSaves: createPruneSaves(ports),
  });
}
