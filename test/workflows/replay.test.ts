import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import proto from "@temporalio/proto";
import { DefaultLogger, Runtime, Worker } from "@temporalio/worker";
import project from "../../package.json" with { type: "json" };
import { beforeAll, describe, expect, inject, it } from "vitest";
import { spansToNobody } from "../../worker/create-worker.ts";
import "../setup/stack-variables.ts";

const folder = fileURLToPath(new URL("../histories", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".json"));
type Recorded = {
  workflowId: string;
  history: {
    events: { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
  };
};

const { History } = proto.temporal.api.history.v1;
const read = (file: string) => JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as Recorded;
const replay = (recorded: Recorded) =>
  Worker.runReplayHistory(
    { workflowBundle: { codePath: inject("workflowBundle") }, sinks: spansToNobody },
    History.fromObject(recorded.history),
    recorded.workflowId,
  );

describe("recorded histories of every release", () => {
  beforeAll(() => {
    Runtime.install({ logger: new DefaultLogger("ERROR", () => {}) });
  });
  it("are there for each workflow", () => {
    for (const type of [
      "createRepl",
      "openRepl",
      "shutdownRepl",
      "deleteRepl",
      "restoreRepl",
      "pruneSaves",
      "reconcileRepls",
    ])
      expect(
        files.some((file) => file.startsWith(`${project.version}/${type}`)),
        type,
      ).toBe(true);
  });
  it.each(files)("%s still replays", async (file) => {
    await replay(read(file));
  });
  it("would not replay if the order of steps were another", async () => {
    const recorded = read(`${project.version}/createRepl-completed.json`);
    for (const event of recorded.history.events) {
      if (event.activityTaskScheduledEventAttributes?.activityType.name === "copyTemplate")
        event.activityTaskScheduledEventAttributes.activityType.name = "applyManifests";
    }
    await expect(replay(recorded)).rejects.toThrow();
  });
});
