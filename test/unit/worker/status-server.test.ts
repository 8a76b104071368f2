import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplError } from "../../../domain/errors.ts";
import { freePort } from "../../../tools/free-port.ts";
import { createWorkerMetrics } from "../../../worker/metrics.ts";
import { startStatusServer } from "../../../worker/status-server.ts";

describe("a worker's status", () => {
  const metrics = createWorkerMetrics(async () => "temporal_something 1\n");
  let isReady = false;
  let url = "";
  let close: () => void;
  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    close = await startStatusServer({ hosts: ["127.0.0.1"], port, metrics, isReady: () => isReady });
  });
  afterAll(() => close());

  const statusOf = async (path: string) => (await fetch(`${url}${path}`)).status;

  it("says that it lives at once, and that it is ready when it asks for work", async () => {
    expect(await statusOf("/livez")).toBe(200);
    expect(await statusOf("/readyz")).toBe(503);
    isReady = true;
    expect(await statusOf("/readyz")).toBe(200);
    expect(await statusOf("/")).toBe(404);
  });

  it("counts attempts of steps, failures by code, saves, and passes on what the SDK counts", async () => {
    metrics.countDone("saveWorkspace", 0.3);
    metrics.countSave({ files: 3, bytes: 42 });
    metrics.countFailed("copyTemplate", 1, new ReplError("unavailable", "away"));
    metrics.countFailed("copyTemplate", 1, new Error("a bug"));
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'devex_step_duration_seconds_count{step="saveWorkspace",outcome="ok"} 1',
      'devex_step_duration_seconds_count{step="copyTemplate",outcome="failed"} 2',
      'devex_step_failures_total{step="copyTemplate",code="unavailable"} 1',
      'devex_step_failures_total{step="copyTemplate",code="other"} 1',
      "devex_closing_saves_total 1",
      "devex_closing_saved_bytes_total 42",
      "temporal_something 1",
    ])
      expect(text.split("\n")).toContain(line);
  });

  it("refuses a port that is taken", async () => {
    const port = Number(new URL(url).port);
    await expect(startStatusServer({ hosts: ["127.0.0.1"], port, metrics, isReady: () => true })).rejects.toThrow(
      "EADDRINUSE",
    );
  });
});
