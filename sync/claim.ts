import { setTimeout as delay } from "node:timers/promises";
import type { SavePointer } from "../domain/ports.ts";
import type { SavedRepl, Session } from "../domain/repl.ts";

/**
 * A pod that ends has 30 s for its last checkpoint (manifests/deployment.ts). One that has not released its files some
 * seconds after that is on a node that is dead or cut off.
 */
const handOverMs = 40_000;
const pauseMs = 300;

/**
 * Makes this pod the session's only writer, as soon as the one before has released its files or is gone, and by force
 * when that takes too long.
 */
export async function claimFiles(
  pointer: Pick<SavePointer, "claim" | "claimWhenFree">,
  session: Session,
  pod: string,
  limits = { handOverMs, pauseMs },
): Promise<SavedRepl> {
  const giveUpAt = performance.now() + limits.handOverMs;
  let waitsFor: string | undefined;
  while (performance.now() < giveUpAt) {
    const answer = await pointer.claimWhenFree(session, pod);
    if (!("heldBy" in answer)) return answer;
    if (waitsFor !== answer.heldBy) console.log(JSON.stringify({ event: "waiting", for: answer.heldBy }));
    waitsFor = answer.heldBy;
    await delay(limits.pauseMs);
  }
  return pointer.claim(session, pod);
}
