import { AsyncLocalStorage } from "node:async_hooks";
import { Context } from "@temporalio/activity";
import { ReplError } from "../domain/errors.ts";

/** A few fit into the heartbeat timeout of the workflows' steps. */
const beatEveryMs = 2000;
/** The server begins the next attempt at the heartbeat timeout; this one ends earlier by what a call may take. */
const leaseShare = 0.8;
/** Methods that answer with a stream in place of a promise. */
const streams = new Set<PropertyKey>(["listVersions", "marks"]);

/**
 * The right of one attempt of an activity to change anything. Temporal starts the next attempt, or the undo, when it
 * has heard nothing for the heartbeat timeout or the attempt has taken its time; a worker that stood still meanwhile
 * (a paused VM, a process that was stopped) does not know of that. So an attempt holds a lease, which each of its
 * heartbeats renews in time, and which is lost for good when one comes late.
 */
export interface Lease {
  /** The workflow run that the attempt acts for. */
  readonly runId: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** Throws when the attempt was cancelled, `unavailable` when its lease is lost. */
  require(): void;
}

const leases = new AsyncLocalStorage<Lease>();

/** Undefined outside of an activity. */
export const currentLease = (): Lease | undefined => leases.getStore();

/** The workflow run that the current attempt acts for. */
export const currentRun = (): string => currentLease()?.runId ?? "";
export const currentAttempt = (): number => currentLease()?.attempt ?? 1;

/**
 * The same activities, each of which holds a lease while it runs: it tells the server every two seconds that its worker
 * lives, with what it last said of itself, and is ended when its lease is lost.
 */
export function withLeases<Activities extends object>(activities: Activities): Activities {
  return Object.fromEntries(
    Object.entries(activities).map(([name, run]) => [name, (input: unknown) => holdLease(() => run(input))]),
  ) as Activities;
}

async function holdLease(run: () => unknown): Promise<unknown> {
  const context = contextOfAttempt();
  if (!context) return run();
  const { heartbeatTimeoutMs, startToCloseTimeoutMs, workflowExecution } = context.info;
  const { cancellationSignal } = context;
  const lost = new AbortController();
  const clock = createClock();
  const started = clock();
  let lastBeat = started;
  let details: unknown = context.info.heartbeatDetails;

  function look(): void {
    const now = clock();
    if (heartbeatTimeoutMs && now - lastBeat > heartbeatTimeoutMs * leaseShare)
      lost.abort(leaseLost(`its worker stood still for ${Math.round((now - lastBeat) / 1000)} s`));
    else if (startToCloseTimeoutMs && now - started > startToCloseTimeoutMs)
      lost.abort(leaseLost("it took longer than a step may take"));
  }
  const beat = context.heartbeat.bind(context);
  const renew = () => {
    look();
    if (lost.signal.aborted) return;
    lastBeat = clock();
    beat(details);
  };
  Object.defineProperties(context, {
    heartbeat: { value: (said: unknown) => ((details = said), renew()) },
    // Whatever waits in this attempt ends with the lease too.
    cancellationSignal: { value: AbortSignal.any([cancellationSignal, lost.signal]) },
  });
  const lease: Lease = {
    runId: workflowExecution?.runId ?? "",
    attempt: context.info.attempt,
    require() {
      look();
      cancellationSignal.throwIfAborted();
      lost.signal.throwIfAborted();
    },
  };
  const beating = setInterval(renew, beatEveryMs);
  try {
    return await leases.run(lease, run);
  } finally {
    clearInterval(beating);
  }
}

/** The same port, none of whose calls begins after the lease of the attempt that calls it has ended. */
export function fenced<Port extends object>(port: Port): Port {
  return new Proxy(port, {
    get(target, key, receiver) {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        try {
          currentLease()?.require();
        } catch (error) {
          if (streams.has(key)) throw error;
          return Promise.reject(error instanceof Error ? error : new Error(String(error)));
        }
        return Reflect.apply(member, target, args);
      };
    },
  });
}

function contextOfAttempt(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}

/** Milliseconds that pass also while the machine sleeps, and that nobody sets back. */
function createClock(): () => number {
  const [ticks, date] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - ticks, Date.now() - date);
}

function leaseLost(why: string): ReplError {
  return new ReplError("unavailable", `This attempt has lost its lease (${why}); another one goes on in its place.`);
}
