import { randomUUID } from "node:crypto";
import { Client, type WorkflowFailedError, type WorkflowHandle } from "@temporalio/client";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { DefaultLogger, Runtime, Worker, type ActivityInterceptorsFactory } from "@temporalio/worker";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { withinTime } from "../../adapters/within-time.ts";
import { toFailure } from "../../activities/failure.ts";
import type { Activities } from "../../activities/index.ts";
import { spansToNobody } from "../../worker/create-worker.ts";
import type * as workflows from "../../workflows/index.ts";
import "../setup/stack-variables.ts";

type Workflows = typeof workflows;
/** IndexedValueType of the operator service. */
const keyword = 2;

export const translateErrors: ActivityInterceptorsFactory = () => ({
  inbound: {
    execute: async (input, next) => {
      try {
        return await next(input);
      } catch (error) {
        throw toFailure(error);
      }
    },
  },
});

/** What `withPatience` waits for a case, which takes a second or two. */
const patienceMs = 60_000;
const standsStill = Symbol("the test server stands still");

async function startTestServer(): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: "existing-path", path: inject("testServer") } },
  });
  const searchAttributes = { ReplId: keyword, UserId: keyword, Template: keyword };
  await environment.connection.operatorService.addSearchAttributes({ namespace: "default", searchAttributes });
  return environment;
}

/** One time-skipping server per test file, and workers whose activities the tests give. */
export function useTestServer() {
  let environment: TestWorkflowEnvironment;
  let running = 0;
  const countRunning: ActivityInterceptorsFactory = () => ({
    inbound: { execute: (input, next) => (running++, next(input).finally(() => running--)) },
  });
  beforeAll(async () => {
    Runtime.install({
      logger: new DefaultLogger("ERROR", () => {}),
      telemetryOptions: { logging: { filter: { core: "ERROR", other: "ERROR" } } },
    });
    environment = await startTestServer();
  });
  afterAll(async () => environment?.teardown());

  /** Runs `use` while a worker with these activities polls a queue of its own. */
  async function withWorker<T>(
    activities: Partial<Activities>,
    use: (start: Start) => Promise<T>,
    taskQueue = `test-${randomUUID()}`,
  ): Promise<T> {
    const worker = await Worker.create({
      connection: environment.nativeConnection,
      taskQueue,
      activities,
      workflowBundle: { codePath: inject("workflowBundle") },
      sinks: spansToNobody,
      interceptors: { activity: [translateErrors, countRunning] },
      maxHeartbeatThrottleInterval: 100,
    });
    const start: Start = (name, input, workflowId = `repl/${randomUUID()}`) =>
      environment.client.workflow.start<Workflows[typeof name]>(name, {
        workflowId,
        taskQueue,
        args: [input] as never,
      });
    return worker.runUntil(() => use(start));
  }

  /** Begins again on a new server. Nothing of the one before is there any more. */
  async function restart(): Promise<void> {
    await environment.teardown();
    environment = await startTestServer();
  }

  /**
   * Temporal's test server sometimes goes on believing that an activity runs which has ended, and skips no time from then
   * on. Resolves, with a warning, where one of these workflows waits for such an activity; throws for whatever else they
   * wait for.
   */
  async function requireFaultOfServer(waitedMs: number, workflowIds: readonly string[]): Promise<void> {
    const pending = await pendingActivities(environment.client, workflowIds);
    const told = `${expect.getState().currentTestName}: no end after ${waitedMs / 1000} s; ${pending.join(", ")}`;
    if (pending.length === 0 || running > 0) throw new Error(told);
    console.warn(`${told}, and none of them runs: once more, on a new test server`);
  }

  return {
    client: (): Client => environment.client,
    sleep: (milliseconds: number) => environment.sleep(milliseconds),
    /**
     * A client for many calls at once, and time that is skipped from now on whenever nothing runs: the environment's own
     * client lets it be skipped only while one result is waited for.
     */
    async skippingClient(): Promise<Client> {
      await environment.connection.testService?.unlockTimeSkipping({});
      return new Client({ connection: environment.connection });
    },
    withWorker,
    restart,
    requireFaultOfServer,
    /** As `withWorker`, for what can be begun again where the server stands still. */
    async withPatience<T>(activities: Partial<Activities>, use: (start: Start) => Promise<T>): Promise<T> {
      const begun: string[] = [];
      const result = await withWorker(activities, (start) => {
        const noted: Start = async (...given) => {
          const handle = await start(...given);
          begun.push(handle.workflowId);
          return handle;
        };
        return withinTime(
          patienceMs,
          () => use(noted),
          async (): Promise<typeof standsStill> => {
            await requireFaultOfServer(patienceMs, begun);
            return standsStill;
          },
        );
      });
      if (result !== standsStill) return result;
      await restart();
      return withWorker(activities, use);
    },
  };
}

/** What the server says of activities that have not ended. */
async function pendingActivities(client: Client, workflowIds: readonly string[]): Promise<string[]> {
  const all = await Promise.all(workflowIds.map((id) => client.workflow.getHandle(id).describe()));
  return all.flatMap(({ raw }) =>
    (raw.pendingActivities ?? []).map(
      ({ activityType, state, attempt }) => `${activityType?.name}, attempt ${attempt}, state ${state}`,
    ),
  );
}

type Start = <Name extends keyof Workflows>(
  name: Name,
  input: Parameters<Workflows[Name]>[0],
  workflowId?: string,
) => Promise<WorkflowHandle<Workflows[Name]>>;

/** Why a workflow failed; undefined when it did not. */
export function failureOf(result: Promise<unknown>): Promise<unknown> {
  return result.then(
    () => undefined,
    (error: WorkflowFailedError) => error.cause,
  );
}
