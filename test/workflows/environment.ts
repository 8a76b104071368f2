import { randomUUID } from "node:crypto";
import { Client, type WorkflowFailedError, type WorkflowHandle } from "@temporalio/client";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { DefaultLogger, Runtime, Worker, type ActivityInterceptorsFactory } from "@temporalio/worker";
import { afterAll, beforeAll, inject } from "vitest";
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

/** One time-skipping server per test file, and workers whose activities the tests give. */
export function useTestServer() {
  let environment: TestWorkflowEnvironment;
  beforeAll(async () => {
    Runtime.install({
      logger: new DefaultLogger("ERROR", () => {}),
      telemetryOptions: { logging: { filter: { core: "ERROR", other: "ERROR" } } },
    });
    environment = await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: "existing-path", path: inject("testServer") } },
    });
    const searchAttributes = { ReplId: keyword, UserId: keyword, Template: keyword };
    await environment.connection.operatorService.addSearchAttributes({ namespace: "default", searchAttributes });
  });
  afterAll(async () => environment?.teardown());

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
    /** Runs `use` while a worker with these activities polls a queue of its own. */
    async withWorker<T>(
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
        interceptors: { activity: [translateErrors] },
        maxHeartbeatThrottleInterval: 100,
      });
      const start: Start = (name, input, workflowId = `repl/${randomUUID()}`) =>
        environment.client.workflow.start<Workflows[typeof name]>(name, {
          workflowId,
          taskQueue,
          args: [input] as never,
        });
      return worker.runUntil(() => use(start));
    },
  };
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
