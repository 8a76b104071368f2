import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import { mapConcurrently } from "../../domain/concurrency.ts";
import { workflowIdOf } from "../../domain/naming.ts";
import { signIn, type Person } from "../../tools/api-client.ts";
import { stepsOf } from "../faults/world.ts";
import { readDeaths } from "../setup/mortal-worker.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { operator, withTemporal } from "./cluster.ts";
import { inspector, newPerson, openEditor, recovery, shell } from "./flow.ts";
import { startApi, startWorker, workers } from "./programs.ts";

type WorkflowType = keyof typeof stepsOf;

const patience = { timeout: 240_000, interval: 250 };
const longest = { timeout: 600_000 };
/** Each death costs ten seconds: so long the server waits for a beat. DEVEX_EVERY_STEP=true is the long form. */
const isLong = process.env["DEVEX_EVERY_STEP"] === "true";
/** What MAX_ACTIVE_PER_USER is in these tests. */
const places = 3;
/** What two cores prepare and run side by side. */
const atOnce = 4;
const everyStep: { readonly workflowType: WorkflowType; readonly step: string }[] = (
  Object.keys(stepsOf) as WorkflowType[]
).flatMap((workflowType) => stepsOf[workflowType].map((step) => ({ workflowType, step })));

const someSteps = everyStep.filter(({ step }) =>
  ["copyTemplate", "claimSession", "saveWorkspace", "removeFiles"].includes(step),
);

/** Somebody with a REPL of which a workflow of this type can begin, and what must be true when it is over. */
async function prepare(workflowType: WorkflowType) {
  const api = await newPerson();
  let id = "";
  if (workflowType !== "createRepl") {
    // The first try may meet a fault that was meant for another, and may have left what it made when only the answer is lost.
    ({ id } = await vi.waitFor(async () => {
      for (const left of await api.list()) await api.remove(left.id);
      return api.create("static", "Killed");
    }, patience));
    await shell(await vi.waitFor(() => openEditor(api, id), patience), "echo precious > work.txt");
  }
  if (workflowType === "openRepl") await vi.waitFor(() => api.close(id), patience);
  const statusOf = async () => (await api.list())[0]?.status ?? "gone";
  const begin: Record<WorkflowType, (by: Person) => Promise<unknown>> = {
    createRepl: (by) => by.create("static", "Killed", { "idempotency-key": "once" }),
    openRepl: (by) => by.open(id),
    shutdownRepl: (by) => by.close(id),
    deleteRepl: (by) => by.remove(id),
  };
  /** How it must end: as was asked for, or, of a start, as if it had never been asked for; one that was told of stays. */
  const ends: Record<WorkflowType, RegExp> = {
    createRepl: /^(running|stopped|gone)$/,
    openRepl: /^(running|stopped|failed)$/,
    shutdownRepl: /^stopped$/,
    deleteRepl: /^gone$/,
  };
  return {
    api,
    begin: (by: Person = api) => begin[workflowType](by).catch(() => undefined),
    workflowId: async () => workflowIdOf(id || ((await api.list())[0]?.id ?? "")),
    async endsWell(expected: RegExp = ends[workflowType]) {
      await vi.waitFor(async () => expect(await statusOf()).toMatch(expected), patience);
      const [repl] = await api.list();
      if (!repl) {
        // A list that is read from the registry, because Redis was slow to answer, is ahead of the files.
        await vi.waitFor(async () => expect(await inspector().keysUnder(`${api.login}/`)).toEqual([]), patience);
        return;
      }
      const editor = await vi.waitFor(() => openEditor(api, repl.id), patience);
      if (id) expect(await shell(editor, "cat work.txt")).toBe("precious");
      await editor.close();
      await api.remove(repl.id);
      await vi.waitFor(async () => expect(await operator().podsOf(repl.id)).toEqual([]), patience);
    },
  };
}

/** Until a workflow has come to a step; it may be past it a moment later. */
async function untilAt(step: string, workflowId: () => Promise<string>): Promise<void> {
  await withTemporal(async (client) => {
    for (;;) {
      const { events } = await client.workflow
        .getHandle(await workflowId())
        .fetchHistory()
        .catch(() => ({ events: [] }));
      const begun = events?.map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name);
      if (begun?.includes(step)) return;
      await delay(5);
    }
  });
}

describe("an API that is killed", () => {
  it("in any step of any workflow changes nothing: what was asked for is done", longest, async () => {
    await mapConcurrently(everyStep, { items: atOnce }, async ({ workflowType, step }) => {
      const { api, begin, workflowId, endsWell } = await prepare(workflowType);
      const other = await startApi();
      const answered = begin(await signIn(other.url, api.login));
      await untilAt(step, workflowId);
      other.program.kill("SIGKILL");
      await answered;
      // The same request again, of another API, is the same REPL.
      if (workflowType === "createRepl") expect(await begin()).toMatchObject({ status: "running" });
      await endsWell(workflowType === "createRepl" || workflowType === "openRepl" ? /^running$/ : undefined);
    });
  });
});

describe("a Redis that is flushed", () => {
  it("in any step of any workflow changes nothing", longest, async () => {
    const redis = connectToRedis(stackVariable("REDIS_URL"));
    await mapConcurrently(everyStep, { items: atOnce }, async ({ workflowType, step }) => {
      const { begin, workflowId, endsWell } = await prepare(workflowType);
      const answered = begin();
      await untilAt(step, workflowId);
      await redis.flushall();
      await answered;
      await endsWell(workflowType === "createRepl" || workflowType === "openRepl" ? /^running$/ : undefined);
    });
    redis.disconnect();
  });
});

describe("a worker that is killed", () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-deaths-"));
  let release = "";

  beforeAll(async () => void (release = await operator().currentRelease()));
  afterAll(async () => {
    if (workers().length === 0) await startWorker(release);
    rmSync(folder, { recursive: true });
  });

  it.each(["before", "after"] as const)(
    `%s the effect of ${isLong ? "any step" : "a step"} of each workflow loses nothing, and all comes to its end`,
    { timeout: 3_600_000 },
    async (when) => {
      const deaths = (isLong ? everyStep : someSteps).map((at) => ({ ...at, when }));
      const file = join(folder, when);
      writeFileSync(file, "");
      const died = () => readDeaths(file);
      const left = () =>
        deaths.filter(({ workflowType, step }) =>
          died().every((death) => death.workflowType !== workflowType || death.step !== step),
        );
      const prepareAll = () => mapConcurrently(left(), { items: atOnce }, ({ workflowType }) => prepare(workflowType));
      let prepared = await prepareAll();
      for (const pid of workers()) process.kill(pid, "SIGKILL");
      const dying = (async () => {
        while (left().length > 0) await once(await startWorker(release, { deaths, file }), "exit");
        await startWorker(release);
      })();
      for (;;) {
        await mapConcurrently(prepared, { items: atOnce }, async ({ begin, endsWell }) => {
          await begin();
          await endsWell();
        });
        if (left().length === 0) break;
        // One that was to meet a step has met another fault before.
        prepared = await prepareAll();
      }
      await dying;
      expect(new Set(died().map(({ workflowId }) => workflowId)).size).toBe(deaths.length);
    },
  );

  it("leaves no place taken: what it had begun is ended by the next one, and the quota is whole again", async () => {
    const api = await newPerson();
    const begun = await Promise.all(Array.from({ length: places }, (_, index) => api.startCreate("node", `${index}`)));
    await expect(api.startCreate("node", "one too many")).rejects.toThrow("429");
    for (const pid of workers()) process.kill(pid, "SIGKILL");
    const recovered = recovery();
    await startWorker(release);
    await vi.waitFor(
      async () => expect((await api.list()).map(({ status }) => status)).toEqual(begun.map(() => "running")),
      { timeout: 100_000, interval: 500 },
    );
    recovered();
    await Promise.all(begun.map(({ id }) => api.remove(id)));
    expect(await api.list()).toEqual([]);
    const again = await Promise.all(begun.map((_, index) => api.create("node", `again ${index}`)));
    expect(again.map(({ status }) => status)).toEqual(begun.map(() => "running"));
    await Promise.all(again.map(({ id }) => api.remove(id)));
  });
});
