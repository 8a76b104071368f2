import { setTimeout as delay } from "node:timers/promises";
import { CancelledFailure, Context } from "@temporalio/activity";
import { MockActivityEnvironment } from "@temporalio/testing";
import { describe, expect, it } from "vitest";
import { createActivities } from "../../../activities/index.ts";
import { currentLease, fenced, withLeases } from "../../../activities/lease.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newStart } from "../../fakes/records.ts";

const heartbeatTimeoutMs = 100;

/** The whole process stands still, timers and all, as after SIGSTOP or in a VM that is moved. */
function standStill(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

describe("the lease of an attempt", () => {
  const store = { written: [] as string[] };
  const port = fenced({
    write: async (text: string) => void store.written.push(text),
    async *listVersions() {
      yield "page";
    },
  });
  const run = (work: () => Promise<unknown>, info: object = { heartbeatTimeoutMs }) => {
    store.written = [];
    const environment = new MockActivityEnvironment(info);
    return { environment, ended: environment.run(withLeases({ work }).work) };
  };

  it("lets an attempt work that beats in time", async () => {
    await run(
      async () => {
        for (let beat = 0; beat < 5; beat++) {
          await delay(heartbeatTimeoutMs / 2);
          Context.current().heartbeat("alive");
          await port.write("late but alive");
        }
      },
      { heartbeatTimeoutMs, startToCloseTimeoutMs: 60_000 },
    ).ended;
    expect(store.written).toHaveLength(5);
  });

  it.each([
    ["at the next call", async () => {}],
    // The timer of the beats may come first when the process goes on.
    ["also after a beat that came too late", async () => Context.current().heartbeat("back again")],
  ])("is lost when the worker stood still: nothing is changed %s", async (_, before) => {
    const { ended } = run(async () => {
      await port.write("in time");
      standStill(heartbeatTimeoutMs * 1.5);
      await before();
      await port.write("too late");
    });
    await expect(ended).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("lease") as string,
    });
    expect(store.written).toEqual(["in time"]);
  });

  it("is lost when the step has taken its time", async () => {
    const { ended } = run(
      async () => {
        await delay(60);
        await port.write("too late");
      },
      { heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: 50 },
    );
    await expect(ended).rejects.toMatchObject({ code: "unavailable" });
    expect(store.written).toEqual([]);
  });

  it("ends what waits in the attempt, and streams too", async () => {
    const { ended } = run(async () => {
      standStill(heartbeatTimeoutMs * 1.5);
      expect(() => port.listVersions()).toThrow("lease");
      Context.current().heartbeat();
      await delay(60_000, undefined, { signal: Context.current().cancellationSignal });
    });
    await expect(ended).rejects.toThrow();
  });

  it("ends with a cancellation, as what it is", async () => {
    const { environment, ended } = run(async () => {
      await delay(20);
      await port.write("after the cancellation");
    });
    environment.cancel();
    await expect(ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(store.written).toEqual([]);
  });

  it("names the run that an attempt acts for, and is nobody's outside of an activity", async () => {
    let runId: string | undefined;
    await run(async () => (runId = currentLease()?.runId), { workflowExecution: { workflowId: "w", runId: "r" } })
      .ended;
    expect([runId, currentLease()]).toEqual(["r", undefined]);
  });

  it("is held by every activity: none asks anything of anybody after it has lost it", async () => {
    const fakes = createFakePorts();
    const asked: string[] = [];
    const watched = <Port extends object>(name: string, target: Port): Port =>
      new Proxy(target, {
        get(of, key, receiver) {
          const member: unknown = Reflect.get(of, key, receiver);
          if (typeof member !== "function") return member;
          return (...args: unknown[]): unknown => (
            asked.push(`${name}.${String(key)}`),
            Reflect.apply(member, of, args)
          );
        },
      });
    const { store: files, registry, cluster, directory } = fakes.ports;
    const activities = createActivities({
      ...fakes.ports,
      store: watched("store", files),
      registry: watched("registry", registry),
      cluster: watched("cluster", cluster),
      directory: watched("directory", directory),
    });
    for (const [name, activity] of Object.entries(activities)) {
      const environment = new MockActivityEnvironment();
      environment.cancel();
      const { repl } = newStart();
      const input = { ...newStart({ repl }), replId: repl.id, owner: repl.owner, state: "stopping", failure: "" };
      asked.length = 0;
      await expect(environment.run(activity as (given: object) => Promise<unknown>, input), name).rejects.toThrow();
      expect(asked, name).toEqual([]);
    }
  });
});
