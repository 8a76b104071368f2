import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { loadConfig } from "../../config/config.ts";
import { clusterSettings } from "../../config/settings.ts";
import { networkPolicyManifests } from "../../manifests/network-policies.ts";
import { signIn, type Person } from "../../tools/api-client.ts";
import { accepts } from "../../tools/accepts.ts";
import { apiClient, replNamespace, systemNamespace } from "../../tools/stack/cluster.ts";
import { deploy, rollOut, undeploy } from "../../tools/stack/deploy.ts";
import { portOf, readOrCreateSettings } from "../../tools/stack/settings.ts";
import { startSpanCollector } from "../setup/span-collector.ts";
import { listCompiledCode, outputOf } from "./cluster.ts";
import { inspector, openEditor, reachesBy, shell } from "./flow.ts";

/** API and worker as images in the cluster, with the rights of deploy/base and nothing else: deploy/overlays/local. */

const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
const patience = { timeout: 90_000, interval: 500 };
const people = 20;
const alerts = readFileSync("deploy/monitoring/alerts.yaml", "utf8");
let url = "";
let collector: Awaited<ReturnType<typeof startSpanCollector>>;

beforeAll(async () => {
  collector = await startSpanCollector(stack.gateway);
  url = await deploy(stack, () => {}, {
    RATE_LIMIT_PER_ADDRESS: "100000",
    RATE_LIMIT_PER_USER: "100000",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
}, 600_000);
afterAll(async () => {
  await undeploy(stack);
  collector.close();
  // Of two installations on one namespace the last one's network policy holds; the other tests' pods need theirs.
  const config = loadConfig(inject("worker").environment);
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: replNamespace });
  await cluster.apply(networkPolicyManifests(clusterSettings(config)));
});

const newPerson = (): Promise<Person> => signIn(url, `t-${randomUUID().slice(0, 8)}`);
const kubernetes = () => {
  const config = apiClient(stack);
  return {
    apps: config.makeApiClient(k8s.AppsV1Api),
    core: config.makeApiClient(k8s.CoreV1Api),
    rbac: config.makeApiClient(k8s.RbacAuthorizationV1Api),
  };
};
const podsNamed = async (name: string) =>
  (
    await kubernetes().core.listNamespacedPod({
      namespace: systemNamespace,
      labelSelector: `app.kubernetes.io/name=${name}`,
    })
  ).items;

/** Takes a right from the worker until the returned function is called. */
async function withoutRight(resource: string, verb: string): Promise<() => Promise<unknown>> {
  const { rbac } = kubernetes();
  const at = { name: "devex-worker", namespace: replNamespace };
  const before = await rbac.readNamespacedRole(at);
  const put = (rules: k8s.V1PolicyRule[]) =>
    rbac.patchNamespacedRole(
      { ...at, body: { rules } },
      k8s.setHeaderOptions("Content-Type", "application/merge-patch+json"),
    );
  await put(
    (before.rules ?? [])
      .map((rule) =>
        rule.resources?.includes(resource) ? { ...rule, verbs: rule.verbs.filter((each) => each !== verb) } : rule,
      )
      .filter(({ verbs }) => verbs.length > 0),
  );
  return () => put(before.rules ?? []);
}

async function restart(name: string): Promise<void> {
  const restartedAt = new Date().toISOString();
  const body = { spec: { template: { metadata: { annotations: { restartedAt } } } } };
  await kubernetes().apps.patchNamespacedDeployment(
    { name, namespace: systemNamespace, body },
    k8s.setHeaderOptions("Content-Type", "application/merge-patch+json"),
  );
}

describe("API and worker in the cluster", () => {
  it("run unprivileged on a read-only disk, two of each, with their code compiled", async () => {
    for (const name of ["devex-api", "devex-worker"]) {
      const pods = await podsNamed(name);
      expect(pods).toHaveLength(2);
      for (const { metadata, spec } of pods) {
        expect(spec?.serviceAccountName).toBe(name);
        expect(spec?.securityContext).toMatchObject({ runAsNonRoot: true });
        expect(spec?.containers[0]?.securityContext).toMatchObject({ readOnlyRootFilesystem: true });
        const at = {
          namespace: systemNamespace,
          pod: metadata?.name ?? "",
          container: spec?.containers[0]?.name ?? "",
        };
        expect(await outputOf(apiClient(stack), at, listCompiledCode)).toMatch(/^[0-9a-f]{8}$/m);
      }
    }
  });

  it("make, close and open a REPL with every byte", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Inside");
    const editor = await openEditor(api, id);
    await shell(editor, "head -c 100000 /dev/urandom > bytes; sha256sum bytes > sum");
    await editor.close();
    expect((await api.close(id)).save.files).toBeGreaterThan(2);
    // Its pod is told to end, and takes its time.
    await vi.waitFor(async () => expect(await inspector().objectsOf(id)).toEqual([]), patience);
    expect(await shell(await openEditor(api, id), "sha256sum -c sum")).toBe("bytes: OK");
    await api.remove(id);
  });

  it("keep what serves them from the REPLs", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Nosy");
    const editor = await openEditor(api, id);
    const run = (command: string) => shell(editor, command);
    // The rules come a moment after the worker has applied the policy.
    const { hostname, port } = new URL(url);
    await vi.waitFor(async () => expect(await reachesBy(run, hostname, port)).toBe(true), patience);
    for (const server of ["apiServer", "temporal", "redis"] as const) {
      expect(await accepts(stack.gateway, portOf(stack, server)), `${server} is there`).toBe(true);
      expect(await reachesBy(run, stack.gateway, portOf(stack, server)), server).toBe(false);
    }
    for (const name of ["devex-api", "devex-worker"])
      for (const pod of await podsNamed(name)) {
        const [probes] = pod.spec?.containers[0]?.ports ?? [];
        expect(await reachesBy(run, pod.status?.podIP ?? "", probes?.containerPort ?? 0), name).toBe(false);
      }
    await api.remove(id);
  });

  it("serve the page, with its scripts", async () => {
    for (const address of ["/", "/room/repl-x"]) {
      const html = await (await fetch(url + address)).text();
      const scripts = [...html.matchAll(/(?:src|modulepreload" href)="(.*?)"/g)].map(([, path]) => path);
      expect(scripts.length).toBeGreaterThan(1);
      for (const path of scripts) {
        const script = await fetch(url + path);
        expect([script.status, script.headers.get("content-type")]).toEqual([200, "text/javascript; charset=utf-8"]);
      }
    }
  });

  it("answer probes and Prometheus inside, and not through the ingress", async () => {
    expect((await fetch(`${url}/ping`)).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(404);
    const [worker] = await podsNamed("devex-worker");
    const text = await (await fetch(`http://${worker?.status?.podIP}:9464/metrics`)).text();
    expect(text).toMatch(/^devex_step_duration_seconds_count\{/m);
    for (const [, name] of alerts.matchAll(/\b(temporal_\w+)/g)) expect(text).toMatch(new RegExp(`^${name}\\{`, "m"));
  });

  it("tell of a command as one trace, from the request to what store and cluster are asked", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Traced");
    const wanted = [
      "POST /api/repl/create",
      "StartWorkflow:createRepl",
      "RunWorkflow:createRepl",
      "StartActivity:applyManifests",
      "RunActivity:applyManifests",
      "cluster.applySession",
      "RunActivity:copyTemplate",
      expect.stringMatching(/^store\./),
    ];
    await vi.waitFor(
      () => expect(collector.traceWith(`repl/${id}`).map(({ name }) => name)).toEqual(expect.arrayContaining(wanted)),
      patience,
    );
    const spans = collector.traceWith(`repl/${id}`);
    const known = new Set(spans.map(({ spanId }) => spanId));
    const roots = spans.filter(({ parentSpanId }) => !known.has(parentSpanId ?? ""));
    expect(roots.map(({ name }) => name)).toEqual(["POST /api/repl/create"]);
    await api.remove(id);
  });

  it("lose nothing when a right is taken from the worker: the pod stays until it is given back", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Rights");
    await shell(await openEditor(api, id), "echo kept > kept.txt");
    const giveBack = await withoutRight("pods/ephemeralcontainers", "patch");
    const closing = api.close(id);
    try {
      await vi.waitFor(
        async () =>
          expect(await api.get(id)).toMatchObject({ status: "stopping", statusReason: expect.any(String) as string }),
        patience,
      );
      expect(await inspector().objectsOf(id)).toContain(`Deployment/${id}`);
    } finally {
      await giveBack();
    }
    expect((await closing).save.generation).toBeGreaterThan(1);
    await api.remove(id);
  });

  it("fail no create and no close while both are restarted one by one", { timeout: 600_000 }, async () => {
    const flow = async () => {
      const api = await newPerson();
      const { id } = await api.create("node", "Rolling");
      await api.close(id);
      await api.remove(id);
    };
    const flows = Array.from({ length: people }, flow);
    await Promise.all(["devex-api", "devex-worker"].map(restart));
    // Each to its end: what one leaves open would be in the way of all tests that follow.
    const ends = await Promise.allSettled(flows);
    expect(ends.flatMap((end) => (end.status === "rejected" ? [String(end.reason)] : []))).toEqual([]);
    await rollOut(stack);
  });
});
