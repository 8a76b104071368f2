import type { ServerResponse } from "node:http";
import * as k8s from "@kubernetes/client-node";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { watchPods } from "../../../adapters/kubernetes-watch.ts";
import { startApiServer, type SeenRequest } from "../../fakes/api-server.ts";
import { podThatIs } from "../../fakes/pods.ts";

const limits = {
  relistAfterMs: 60_000,
  listTimeoutMs: 15_000,
  listPatienceMs: 15_000,
  firstPauseMs: 10,
  longestPauseMs: 100,
  lastedMs: 5000,
};
const list = (...names: string[]) => ({
  metadata: { resourceVersion: "1" },
  items: names.map((name) => podThatIs("running", name)),
});
const refused = (response: ServerResponse, code: number) => {
  response.statusCode = code;
  return { kind: "Status", message: `refused with ${code}` };
};
const isWatch = ({ query }: SeenRequest) => query.has("watch");

async function follow(
  answer: Parameters<typeof startApiServer>[0],
  signal: AbortSignal,
  visit: (pods: readonly k8s.V1Pod[]) => string | undefined,
  changed: Partial<typeof limits> = {},
) {
  const server = await startApiServer(answer);
  onTestFinished(() => server.stop());
  const config = new k8s.KubeConfig();
  config.loadFromFile(server.kubeconfig);
  const watching = watchPods(config, "ns", "a=b", signal, visit, { ...limits, ...changed });
  return { watching, requests: server.requests };
}

describe("a watch of pods", () => {
  it.each([
    [
      "watches are refused with 429",
      (request: SeenRequest, response: ServerResponse) => (isWatch(request) ? refused(response, 429) : list("p")),
    ],
    [
      "watches are forbidden",
      (request: SeenRequest, response: ServerResponse) => (isWatch(request) ? refused(response, 403) : list("p")),
    ],
    ["watches end at once", (request: SeenRequest) => (isWatch(request) ? {} : list("p"))],
    ["lists are refused with 500", (_: SeenRequest, response: ServerResponse) => refused(response, 500)],
  ])("asks ever more seldom while %s", async (_, answer) => {
    const end = new AbortController();
    const { watching, requests } = await follow(answer, end.signal, () => undefined);
    watching.catch(() => {});
    // Ten pauses without growth would be over after 0.1 s; with it they take 0.375 s or more.
    const begun = performance.now();
    await vi.waitUntil(() => requests.filter((request) => !isWatch(request)).length > 10, { timeout: 20_000 });
    expect(performance.now() - begun).toBeGreaterThan(300);
    end.abort();
    await expect(watching).rejects.toThrow();
  });

  it("goes on when the API server is well again, and sees what came meanwhile", async () => {
    let lists = 0;
    const { watching } = await follow(
      (request, response) => {
        if (isWatch(request)) return refused(response, 429);
        return ++lists < 4 ? refused(response, 429) : list("p");
      },
      AbortSignal.timeout(20_000),
      (pods) => pods[0]?.metadata?.name,
    );
    expect(await watching).toBe("p");
    expect(lists).toBe(4);
  });

  it("ends with what the API server says when no list succeeds for long, or one hangs", async () => {
    const { watching } = await follow(
      (_, response) => refused(response, 403),
      AbortSignal.timeout(20_000),
      () => undefined,
      { listPatienceMs: 50 },
    );
    await expect(watching).rejects.toMatchObject({ code: 403 });
    const silent = await follow(
      () => undefined,
      AbortSignal.timeout(20_000),
      () => undefined,
      { listPatienceMs: 0, listTimeoutMs: 50 },
    );
    await expect(silent.watching).rejects.toThrow("no answer within");
  });

  it("pauses no more once a watch has lasted", async () => {
    let open: ServerResponse | undefined;
    const end = new AbortController();
    const { watching, requests } = await follow(
      (request, response) => {
        if (!isWatch(request)) return list("p");
        response.writeHead(200, { "content-type": "application/json" });
        response.flushHeaders();
        open = response;
        return undefined;
      },
      end.signal,
      () => undefined,
      { firstPauseMs: 60_000, longestPauseMs: 60_000, lastedMs: 20 },
    );
    watching.catch(() => {});
    for (let watches = 1; watches <= 3; watches++) {
      await vi.waitUntil(() => requests.filter(isWatch).length === watches && open);
      const lasting = open;
      open = undefined;
      setTimeout(() => lasting?.end(), 40);
    }
    await vi.waitUntil(() => requests.filter(isWatch).length === 4);
    end.abort();
    await expect(watching).rejects.toThrow();
  });
});
