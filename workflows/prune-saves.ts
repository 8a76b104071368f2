import type { PruneResult } from "../activities/prune-saves.ts";
import { pruneOldSaves } from "./activities.ts";

/** Removes the saves that the retention does not keep. Started by its Schedule; safe to start by hand and to reset. */
export async function pruneSaves(): Promise<PruneResult> {
  return pruneOldSaves();
}
