import { setTimeout as delay } from "node:timers/promises";
import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";
import { accessUrl } from "../domain/naming.ts";
import type { SessionInput } from "./inputs.ts";
import type { Ports } from "./ports.ts";

/** The ingress controller's delay is tens of milliseconds; what takes longer is asked ever less often. */
const firstPauseMs = 10;
const longestPauseMs = 250;
/** Who waits longer than this is told what for. */
const explainAfterMs = 10_000;
/**
 * A pod starts in a second. The rest is for a full cluster: until others close, or until a node is added, which takes
 * minutes. Who does not want to wait that long reads why, and may close.
 */
const timeoutSeconds = 480;

/**
 * Waits until the runner answers through the access path, as a browser would reach it, while a watch on the
 * pod ends the wait early when it can never answer. Returns the access path. Throws `unavailable` with the
 * reason. May be repeated.
 */
export function createWaitUntilReady({ cluster, directory, settings, probe }: Ports) {
  return async ({ session }: SessionInput): Promise<string> => {
    const context = Context.current();
    const url = accessUrl(settings.runnerUrl, session.replId);
    const over = new AbortController();
    const late = new AbortController();
    const signal = AbortSignal.any([context.cancellationSignal, over.signal, late.signal]);
    // What an earlier attempt saw last may be all that this one has time to say.
    let state = (context.info.heartbeatDetails as string | undefined) ?? "waiting for the pod";
    let told = "";
    context.heartbeat(state);
    const looking = setInterval(() => {
      // Since the first attempt, so that a second one is for what a lost worker left and not for more patience.
      const waitedMs = Date.now() - context.info.scheduledTimestampMs;
      if (waitedMs > timeoutSeconds * 1000) late.abort();
      if (waitedMs < explainAfterMs || state === told) return;
      directory.setState(session, "starting", `It is still starting: ${(told = state)}.`).catch(() => {});
    }, 1000);
    const answers = async (from: AbortSignal) => {
      for (
        let pause = firstPauseMs;
        !(await probe(`${url}ping`, session.id, from));
        pause = Math.min(pause * 1.2, longestPauseMs)
      )
        await delay(pause, undefined, { signal: from });
    };
    const early = new AbortController();
    const watched = cluster.waitForPod(session, signal, (next) => context.heartbeat((state = next)));
    // A Ready pod is no answer yet, but the answer is near: it is asked for often again. A hopeless one ends the wait.
    const afterReady = watched.then(() => {
      early.abort();
      return answers(signal);
    });
    const beforeReady = answers(AbortSignal.any([signal, early.signal])).catch(() => afterReady);
    try {
      await Promise.race([beforeReady, afterReady]);
      return url;
    } catch (error) {
      if (late.signal.aborted)
        throw new ReplError("unavailable", `The REPL did not answer within ${timeoutSeconds} s: ${state}.`, {
          cause: error,
        });
      throw error;
    } finally {
      clearInterval(looking);
      over.abort();
    }
  };
}
