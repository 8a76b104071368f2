import { Context } from "@temporalio/activity";
import { mapConcurrently } from "../domain/concurrency.ts";
import { messageOf } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { RecordName } from "../domain/ports.ts";
import type { Ports } from "./ports.ts";
import { createPruneRemains } from "./prune-remains.ts";
import { createPruneRepl } from "./prune-repl.ts";

export interface PruneResult {
  readonly repls: number;
  readonly savesRemoved: number;
  readonly versionsRemoved: number;
  /** REPLs that never had a save, because their create was cut short for good, whose files were removed. */
  readonly startsRemoved: number;
  /** REPLs of which something was removed that a pod which was cut off had written after their deletion. */
  readonly leftoversRemoved: number;
  /** Uploads in parts that were begun more than a day ago and never ended. */
  readonly uploadsAborted: number;
  /** Files and saves that no record names, where somebody has to look; the first few. */
  readonly unrecorded: readonly string[];
  /** What could not be looked at, and why; the first few. */
  readonly failed: readonly string[];
}

const maximumTold = 10;
const concurrentRepls = 4;
/** No save and no copy takes so long. */
const longestUploadMs = 24 * 3_600_000;

/**
 * Cleans up the bucket: saves that the retention does not keep, versions of files that no manifest names, what is left
 * of REPLs without a record, in the look-ups too, and uploads that were never ended. What cannot be looked at does not
 * keep the rest from it. Idempotent.
 */
export function createPruneSaves({ store, registry, directory, uploads }: Ports) {
  const pruneRepl = createPruneRepl(store);
  const pruneRemains = createPruneRemains({ store, registry });
  return async (): Promise<PruneResult> => {
    const context = Context.current();
    const { cancellationSignal: signal } = context;
    const failed: string[] = [];
    async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        if (failed.length < maximumTold) failed.push(`${what}: ${messageOf(error)}`);
        return undefined;
      }
    }

    let [repls, savesRemoved, versionsRemoved] = [0, 0, 0];
    const names = await registry.names();
    const gone = new Set<RecordName>();
    await mapConcurrently(names, { items: concurrentRepls }, async (name) => {
      const { userId, replId } = name;
      signal.throwIfAborted();
      const one = await attempt(replId, async () => {
        const record = await registry.read(userId, replId);
        if (record) return pruneRepl(record, signal);
        gone.add(name);
        return undefined;
      });
      savesRemoved += one?.saves ?? 0;
      versionsRemoved += one?.versions ?? 0;
      context.heartbeat(`${++repls} of ${names.length}`);
    });
    const remains = await attempt("what no record names", () =>
      pruneRemains(
        names.filter((name) => !gone.has(name)),
        [...gone],
        signal,
      ),
    );
    for (const { userId, replId } of gone)
      await attempt(replId, async () => {
        // A late attempt of an undo leaves them.
        if (!(await registry.read(userId, replId))) await directory.forget(userId, replId);
        if (remains && !remains.young.has(replId)) await registry.forgetTombstones(userId, replId);
      });
    const before = new Date(Date.now() - longestUploadMs);
    const aborted = uploads && (await attempt("uploads", () => uploads.abort(objectKey.isOurs, before)));
    return {
      repls: repls - gone.size,
      savesRemoved,
      versionsRemoved,
      startsRemoved: remains?.starts.length ?? 0,
      leftoversRemoved: remains?.leftovers.length ?? 0,
      uploadsAborted: aborted ?? 0,
      unrecorded: remains?.unrecorded.slice(0, maximumTold) ?? [],
      failed,
    };
  };
}
