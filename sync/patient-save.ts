import { setTimeout as delay } from "node:timers/promises";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { FailedTry } from "../domain/save.ts";

/**
 * A container that has tried for so long makes way for another one, which has a fresh environment. Whoever waits for it
 * does so for an hour (workflows/activities.ts).
 */
const patienceMs = 50 * 60_000;
const firstPauseMs = 200;
const longestPauseMs = 5000;

/**
 * Tries until a save is made, while what it needs does not answer: each container of a pod stays in it for good, so a
 * store that is away for a night must not take a new one each minute. Tells of each failed try in the log, which the
 * worker reads. Throws at once what another try cannot mend.
 */
export async function saveInTries<Report>(
  save: (attempt: number) => Promise<Report>,
  limits = { patienceMs, firstPauseMs, longestPauseMs },
): Promise<Report> {
  const giveUpAt = performance.now() + limits.patienceMs;
  for (
    let attempt = 1, pauseMs = limits.firstPauseMs;
    ;
    attempt++, pauseMs = Math.min(pauseMs * 2, limits.longestPauseMs)
  ) {
    try {
      return await save(attempt);
    } catch (error) {
      // What takes no manifest of this size can be made to. Of a file that is no reason for the save to fail.
      const mayPass = error instanceof ReplError && (error.code === "unavailable" || error.code === "invalid");
      if (!mayPass || performance.now() + pauseMs > giveUpAt) throw error;
      const failed: FailedTry = { event: "save failed", try: attempt, reason: messageOf(error).slice(0, 1000) };
      console.log(JSON.stringify(failed));
      await delay(pauseMs);
    }
  }
}
