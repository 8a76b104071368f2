import type { ServerResponse } from "node:http";
import type { V1Pod } from "@kubernetes/client-node";
import { expect, it, onTestFinished, vi } from "vitest";
import { createKubernetesCluster } from "../../../adapters/kubernetes-cluster.ts";
import { label } from "../../../domain/naming.ts";
import type { PodNews } from "../../../domain/ports.ts";
import { startApiServer } from "../../fakes/api-server.ts";
import { podThatIs, type PodState } from "../../fakes/pods.ts";
import { newRecord, newSession } from "../../fakes/records.ts";

const session = newSession(newRecord());

function podOfSession(state: PodState, name: string): V1Pod {
  const pod = podThatIs(state, name);
  const labels = { [label.sessionId]: session.id, [label.replId]: session.replId, [label.userId]: session.userId };
  return { ...pod, metadata: { ...pod.metadata, labels } };
}

it("news of pods name those of which nothing runs any more, and none that is only ending", async () => {
  let watch: ServerResponse | undefined;
  const server = await startApiServer(({ query }, response) => {
    if (!query.has("watch")) return { metadata: { resourceVersion: "1" }, items: [podOfSession("running", "deleted")] };
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    watch = response;
    return undefined;
  });
  onTestFinished(() => server.stop());
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const news: PodNews[] = [];
  const cluster = createKubernetesCluster({ kubeconfig: server.kubeconfig, namespace: "ns" });
  void cluster.watchSessions(end.signal, (one) => news.push(one));
  await vi.waitUntil(() => watch);
  const tell = (type: string, object: V1Pod) => watch?.write(`${JSON.stringify({ type, object })}\n`);

  tell("MODIFIED", podOfSession("ending", "deleted"));
  await vi.waitUntil(() => news.length === 1);
  tell("DELETED", podOfSession("ending", "deleted"));
  tell("ADDED", podOfSession("running", "failed"));
  tell("MODIFIED", podOfSession("evicted", "failed"));
  await vi.waitUntil(() => news.length === 3);
  expect(news).toEqual([
    { session, trouble: "its container was deleted" },
    { session, gone: "deleted" },
    { session, gone: "failed", trouble: "its container was lost (Evicted: the node says Evicted)" },
  ]);
});
