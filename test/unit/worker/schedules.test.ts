import { ScheduleClient, type ConnectionLike } from "@temporalio/client";
import { msToTs } from "@temporalio/common/lib/time.js";
import type { temporal } from "@temporalio/proto";
import { describe, expect, it } from "vitest";
import { ensureSchedulesOn } from "../../../worker/schedules.ts";

type Schedule = temporal.api.schedule.v1.ISchedule;
const alreadyExists = 6;

/** The SDK's client on a server that keeps schedules as they were sent. */
function createSchedules() {
  const kept = new Map<string, Schedule>();
  const updates: string[] = [];
  const workflowService = {
    async createSchedule({ scheduleId = "", schedule }: { scheduleId?: string; schedule: Schedule }) {
      if (kept.has(scheduleId))
        throw Object.assign(new Error("already there"), { code: alreadyExists, details: "", metadata: {} });
      kept.set(scheduleId, schedule);
      return {};
    },
    async describeSchedule({ scheduleId = "" }) {
      return {
        schedule: kept.get(scheduleId),
        info: { createTime: msToTs(1) },
      };
    },
    async updateSchedule({ scheduleId = "", schedule }: { scheduleId?: string; schedule: Schedule }) {
      updates.push(scheduleId);
      kept.set(scheduleId, schedule);
      return {};
    },
  };
  const client = new ScheduleClient({ connection: { workflowService } as unknown as ConnectionLike });
  const of = (id: string) => {
    const schedule = kept.get(id);
    if (!schedule) throw new Error(`no schedule ${id}`);
    return schedule;
  };
  return {
    client,
    updates,
    of,
    everySeconds: (id: string) => Number(of(id).spec?.interval?.[0]?.interval?.seconds),
    longestRunSeconds: (id: string) => Number(of(id).action?.startWorkflow?.workflowRunTimeout?.seconds),
  };
}

describe("ensureSchedules", () => {
  it("ends a run that is stuck, so that it is not the last one", async () => {
    const schedules = createSchedules();
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    expect(schedules.longestRunSeconds("reconcile-repls")).toBe(30 * 60);
    expect(schedules.longestRunSeconds("prune-saves")).toBe(12 * 3600);
  });

  it("leaves what is as configured, also when an operator has changed or paused it", async () => {
    const schedules = createSchedules();
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    const prune = schedules.of("prune-saves");
    Object.assign(prune, { state: { paused: true, notes: "a look at the bucket" } });
    Object.assign(prune.spec ?? {}, { interval: [{ interval: msToTs(7000) }] });
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    expect(schedules.updates).toEqual([]);
  });

  it("honours a configuration that was changed later, and keeps what is paused so", async () => {
    const schedules = createSchedules();
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    Object.assign(schedules.of("reconcile-repls"), { state: { paused: true, notes: "upgrade of the cluster" } });
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 20 });
    expect(schedules.updates).toEqual(["reconcile-repls"]);
    expect(schedules.everySeconds("reconcile-repls")).toBe(20);
    expect(schedules.of("reconcile-repls").state).toMatchObject({ paused: true, notes: "upgrade of the cluster" });
  });

  it("brings up to date what an earlier release has made", async () => {
    const schedules = createSchedules();
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    const action = schedules.of("reconcile-repls").action?.startWorkflow;
    Object.assign(action ?? {}, { workflowRunTimeout: undefined, memo: undefined });
    await ensureSchedulesOn(schedules.client, { RECONCILE_SECONDS: 60 });
    expect(schedules.longestRunSeconds("reconcile-repls")).toBe(30 * 60);
  });
});
