import type { ReplRecord, Session } from "./repl.ts";

/** What is lost with the pods of a session, and how its owner is told. */

const longestWords = 2000;

/** Everything there is to say, once, and not without end. */
export function joined(words: readonly (string | undefined)[], between = " "): string | undefined {
  return [...new Set(words)].filter(Boolean).join(between).slice(0, longestWords) || undefined;
}

/**
 * What a record says of a session that loses work now. `pods`: how many pods go with work that no save has; `notSaved`:
 * what could not be saved in one that handed over.
 */
export function lossNow(
  { lastSave, lastLoss }: ReplRecord,
  { id }: Session,
  pods: number,
  notSaved?: string,
): NonNullable<ReplRecord["lastLoss"]> {
  const before = lastLoss?.sessionId === id ? lastLoss : undefined;
  const count = before ? (before.count ?? 1) : 0;
  const now = { at: new Date().toISOString(), generation: lastSave?.generation ?? 0 };
  // Of a hand-over nothing is gone after any save.
  const then = before && { at: before.at, generation: before.generation };
  const when = pods > 0 ? now : (then ?? now);
  const first = before?.first ?? (pods > 0 && count > 0 ? then : undefined);
  const isNoted = `; ${before?.notSaved}; `.includes(`; ${notSaved}; `);
  const words = isNoted ? before?.notSaved : joined([before?.notSaved, notSaved], "; ");
  return {
    sessionId: id,
    ...when,
    count: count + pods,
    ...(first ? { first } : {}),
    ...(words ? { notSaved: words } : {}),
  };
}

/** What a session has lost with its pods, in words; undefined where nothing. */
export function lossesOf({ lastLoss, restored }: ReplRecord, { id }: Session): string | undefined {
  const { at, generation, count = 1, first, notSaved } = lastLoss?.sessionId === id ? lastLoss : noLoss;
  const isHandedOver = restored?.sessionId === id && restored.released === true;
  const left = joined([notSaved, isHandedOver ? restored.notSaved : undefined], "; ");
  return joined([
    count > 1 && first
      ? `The container was lost ${count} times, first at ${first.at} and last at ${at}. What was written after save ${first.generation} and was not saved before the next of them is gone.`
      : count > 0
        ? `The container was lost at ${at} and started again from save ${generation}. What was written after that save is gone.`
        : undefined,
    left && `When the container moved to another node, this went with the old one: ${left}`,
  ]);
}

const noLoss = { at: "", generation: 0, count: 0, first: undefined, notSaved: undefined };
