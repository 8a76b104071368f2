import { randomUUID } from "node:crypto";
import type { Client } from "@temporalio/client";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StartInput } from "../../activities/inputs.ts";
import { workflowIdOf } from "../../domain/naming.ts";
import { workflowsPath } from "../../worker/create-worker.ts";
import { newSession, newStart } from "../fakes/records.ts";
import { createWorld, finalFaults, stepsOf } from "../faults/world.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { translateErrors } from "../workflows/environment.ts";
import { operator, withTemporal } from "./cluster.ts";

/**
 * What the runbook promises of each step of each workflow, on the real Temporal: when it has failed for good, before
 * or after its effect, the cause is mended and the workflow reset to its first task, it ends as was asked for. The
 * activities are the real ones, on fakes, because real servers take a minute to be given up.
 */

type Type = keyof typeof stepsOf;

const cases = (Object.keys(stepsOf) as Type[]).flatMap((type) =>
  stepsOf[type].flatMap((step) => finalFaults.map((fault) => [type, step, fault] as const)),
);

describe("a reset to the first task", () => {
  const taskQueue = `resets-${randomUUID()}`;
  const world = createWorld();
  let connection: NativeConnection;
  let worker: Worker;
  let running: Promise<void>;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger("ERROR", () => {}) });
    await world.publishTemplate();
    connection = await NativeConnection.connect({ address: stackVariable("TEMPORAL_ADDRESS") });
    worker = await Worker.create({
      connection,
      namespace: stackVariable("TEMPORAL_NAMESPACE"),
      taskQueue,
      activities: world.activities,
      workflowsPath,
      interceptors: { activity: [translateErrors] },
    });
    running = worker.run();
  });
  afterAll(async () => {
    worker.shutdown();
    await running;
    await connection.close();
  });

  const idOf = ({ repl }: StartInput) => ({ replId: repl.id, owner: repl.owner });
  const begin = (client: Client, type: Type, input: StartInput, args: object) =>
    client.workflow.start(type, { workflowId: workflowIdOf(input.repl.id), taskQueue, args: [args] });

  /** A REPL as the workflow needs it: none, a closed one, or an open one; and what it is to be started with. */
  async function prepare(client: Client, type: Type): Promise<{ input: StartInput; args: object }> {
    const input = newStart();
    if (type === "createRepl") return { input, args: input };
    await (await begin(client, "createRepl", input, input)).result();
    await world.write(idOf(input), "precious");
    const record = async () => (await world.ports.registry.read(input.repl.owner.id, input.repl.id)) ?? input.repl;
    if (type === "deleteRepl") return { input, args: idOf(input) };
    const close = { ...idOf(input), lastSave: (await record()).lastSave };
    if (type === "shutdownRepl") return { input, args: close };
    await (await begin(client, "shutdownRepl", input, close)).result();
    const repl = await record();
    return { input, args: { ...input, repl, session: newSession(repl) } };
  }

  it.each(cases)("of a %s whose %s was %s its effect ends as was asked for", async (type, step, fault) => {
    await withTemporal(async (client) => {
      world.plan(() => undefined);
      const { input, args } = await prepare(client, type);
      world.plan((activity) => (activity === step ? fault : undefined));
      await expect((await begin(client, type, input, args)).result()).rejects.toThrow("Workflow execution failed");
      world.plan(() => undefined);
      expect(await operator().reset(input.repl.id, type)).toBe("COMPLETED");

      if (type === "deleteRepl") return expect(await world.tracesOf(idOf(input))).toEqual([]);
      expect(await world.violations([idOf(input)])).toEqual([]);
      expect(await world.read(idOf(input))).toBe(type === "createRepl" ? "" : "precious");
      const [repl] = await world.ports.directory.list(input.repl.owner.id);
      expect(repl?.status).toBe(type === "shutdownRepl" ? "stopped" : "running");
    });
  });
});
