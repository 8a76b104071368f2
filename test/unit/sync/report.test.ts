import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { SaveStatus } from "../../../domain/save.ts";
import { startReporting } from "../../../sync/report.ts";
import { serve } from "../../setup/http-servers.ts";

const patience = { timeout: 5000, interval: 10 };

const activity = { connections: 2, lastActivityAt: "2026-01-01T00:00:00.000Z" };
const unsaved = { files: 1, bytes: 5, since: "2026-01-01T00:00:00.000Z" };
const saved: SaveStatus = { lastSave: { generation: 2, savedAt: "2026-01-01T00:00:01.000Z" } };

/** An API that notes what it hears, and a runner beside the reporter. */
async function listen() {
  const heard: unknown[] = [];
  const { origin: apiUrl } = await serve((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      heard.push([request.method, request.url, request.headers.authorization, JSON.parse(text)]);
      response.writeHead(204).end();
    });
  });
  const { origin: runnerUrl } = await serve((request, response) =>
    response.end(request.url === "/repl-x/activity" ? JSON.stringify(activity) : ""),
  );
  return { heard, apiUrl, runnerUrl, replId: "repl-x", token: "secret" };
}

describe("reports of a session", () => {
  const message = (save?: SaveStatus) => [
    "POST",
    "/api/runner/repl-x/heartbeat",
    "Bearer secret",
    save ? { ...activity, save } : activity,
  ];

  it("are made at once, and again in the end when there is news", async () => {
    const { heard, ...from } = await listen();
    let status: SaveStatus = { unsaved };
    const reports = startReporting({ ...from, status: () => status });
    await vi.waitFor(() => expect(heard).toEqual([message({ unsaved })]), patience);
    status = saved;
    await reports.finish();
    expect(heard).toEqual([message({ unsaved }), message(saved)]);
  });

  it("are made once when there is no news", async () => {
    const { heard, ...from } = await listen();
    await startReporting({ ...from, status: () => ({}) }).finish();
    expect(heard).toEqual([message()]);
  });

  it("keep nothing waiting while the API hangs or is away, and say nothing for a runner that is gone", async () => {
    const { heard, ...from } = await listen();
    const { origin: hanging } = await serve(() => {});
    const began = performance.now();
    await startReporting({ ...from, apiUrl: hanging, status: () => saved }).finish();
    expect(performance.now() - began).toBeLessThan(3000);
    await startReporting({ ...from, apiUrl: "http://127.0.0.1:1", status: () => saved }).finish();
    await startReporting({ ...from, runnerUrl: "http://127.0.0.1:1", status: () => saved }).finish();
    await delay(50);
    expect(heard).toEqual([]);
  });
});
