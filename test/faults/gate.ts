import { AsyncLocalStorage } from "node:async_hooks";
import { MockActivityEnvironment } from "@temporalio/testing";
import type { Outside } from "../fakes/ports.ts";
import type { Attempt } from "./plain-temporal.ts";

/** One call of an attempt to the outside. */
export interface OutsideCall {
  readonly port: string;
  readonly method: string;
  readonly args: readonly unknown[];
  /** Does what was asked for. */
  readonly answer: () => unknown;
}

/** What an attempt meets at each of its calls, counted from 1. */
export type Meets = (call: OutsideCall, number: number) => unknown;

const attempts = new AsyncLocalStorage<{ calls: number; readonly meets: Meets }>();
/** Methods that answer with a stream. */
const streams = new Set<PropertyKey>(["listVersions", "marks"]);
/** Methods in which programs of pods run: what those call is none of the attempt's. */
const inPods = new Set<PropertyKey>(["waitForPod", "runInPod"]);

/** Stands between the activities and what they speak to: every call of an attempt that is watched goes through `meets`. */
export const gate: Outside = (port, target) =>
  new Proxy(target, {
    get(of, key, receiver) {
      const member: unknown = Reflect.get(of, key, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const answer = () =>
          inPods.has(key)
            ? attempts.exit((): unknown => Reflect.apply(member, of, args))
            : Reflect.apply(member, of, args);
        const watched = attempts.getStore();
        if (!watched) return answer();
        const meet = () => watched.meets({ port, method: String(key), args, answer }, ++watched.calls);
        return streams.has(key) ? streamOf(meet) : Promise.resolve().then(meet);
      };
    },
  });

/** Runs what makes calls to the outside; each of them goes through `meets`. */
export const meeting = <T>(meets: Meets, run: () => T): T => attempts.run({ calls: 0, meets }, run);

async function* streamOf(meet: () => unknown): AsyncGenerator {
  yield* (await meet()) as AsyncIterable<unknown>;
}

const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Runs an attempt of an activity, as a worker would. `cancel` takes its lease. */
export function runAttempt(
  activity: (input: never) => Promise<unknown>,
  { attempt, runId }: Attempt,
  input: unknown,
  meets?: Meets,
): { readonly ended: Promise<unknown>; readonly cancel: () => void } {
  const environment = new MockActivityEnvironment(
    {
      attempt,
      workflowExecution: { workflowId: "test", runId },
      startToCloseTimeoutMs: 3_600_000,
      scheduledTimestampMs: Date.now(),
    },
    { logger: silent },
  );
  const run = () => environment.run(activity as (given: unknown) => Promise<unknown>, input);
  return {
    ended: meets ? attempts.run({ calls: 0, meets }, run) : attempts.exit(run),
    cancel: () => environment.cancel(),
  };
}
