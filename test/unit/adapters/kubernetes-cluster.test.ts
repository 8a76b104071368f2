import { describe, expect, it, onTestFinished } from "vitest";
import { createKubernetesCluster } from "../../../adapters/kubernetes-cluster.ts";
import { ReplError } from "../../../domain/errors.ts";
import { sessionObjects } from "../../../manifests/session-objects.ts";
import { startApiServer } from "../../fakes/api-server.ts";
import { podThatIs, type PodState } from "../../fakes/pods.ts";
import { newRecord, newSession, newStart, testSettings } from "../../fakes/records.ts";

const session = newSession(newRecord());

/** A cluster whose session has these pods, by their names. */
async function clusterWith(states: Readonly<Record<string, PodState>>) {
  const items = Object.entries(states).map(([name, state]) => podThatIs(state, name));
  const server = await startApiServer(() => ({ items }));
  onTestFinished(() => server.stop());
  const cluster = createKubernetesCluster({ kubeconfig: server.kubeconfig, namespace: "ns" });
  const save = (holder: string) =>
    cluster.runInPod(
      session,
      (name) => ({ name }),
      AbortSignal.timeout(5000),
      () => {},
      (pod) => pod === holder,
    );
  return { cluster, save, requests: server.requests };
}

describe("the cluster behind an API server", () => {
  it.each([
    [{ first: "ending", second: "not scheduled" }, "ending"],
    [{ second: "not scheduled" }, "never filled"],
    [{ first: "on a node that rebooted" }, "between lives"],
    [{ first: "evicted", second: "not scheduled" }, "gone"],
  ] as const)("says which kind of nothing it found in %o: %s", async (pods, nothing) => {
    const { save } = await clusterWith(pods);
    expect(await save("first")).toMatchObject({ nothing });
  });

  it("has nothing on its way any more when it has failed, so that an undo finds all of it", async () => {
    const kinds = ["Deployment", "Service", "Ingress", "Secret"];
    let answered = 0;
    const server = await startApiServer(({ method, path }, response) => {
      if (method === "GET")
        return { resources: kinds.map((kind) => ({ kind, name: kind.toLowerCase(), namespaced: true })) };
      const isSlow = !path.endsWith("/secret");
      response.statusCode = isSlow ? 201 : 403;
      response.setHeader("content-type", "application/json");
      setTimeout(
        () => {
          answered++;
          response.end(JSON.stringify({ message: "refused" }));
        },
        isSlow ? 150 : 0,
      );
      return undefined;
    });
    onTestFinished(() => server.stop());
    const cluster = createKubernetesCluster({ kubeconfig: server.kubeconfig, namespace: "ns" });
    const manifests = sessionObjects(
      { ...newStart(), runnerToken: "token" },
      { accessKey: "a", secretKey: "s" },
      testSettings,
    );
    await expect(cluster.applySession(session, manifests)).rejects.toMatchObject({ code: "unavailable" });
    expect(answered).toBe(manifests.length);
  });

  it("makes no further call once its guard holds it back, and passes on why", async () => {
    const kinds = ["Deployment", "Service", "Ingress", "Secret"];
    let isLate = false;
    const server = await startApiServer(({ method }, response) => {
      if (method === "GET")
        return { resources: kinds.map((kind) => ({ kind, name: kind.toLowerCase(), namespaced: true })) };
      isLate = true;
      response.statusCode = 409;
      return { message: "there already" };
    });
    onTestFinished(() => server.stop());
    const late = new ReplError("unavailable", "too late");
    const guard = <Api extends object>(api: Api): Api =>
      new Proxy(api, {
        get:
          (target, key) =>
          (...args: unknown[]) =>
            isLate
              ? Promise.reject(late)
              : (Reflect.apply(Reflect.get(target, key) as () => unknown, target, args) as unknown),
      });
    const cluster = createKubernetesCluster({ kubeconfig: server.kubeconfig, namespace: "ns", guard });
    const [manifest] = sessionObjects(
      { ...newStart(), runnerToken: "token" },
      { accessKey: "a", secretKey: "s" },
      testSettings,
    );
    await expect(cluster.applySession(session, [manifest as object])).rejects.toBe(late);
    expect(server.requests.map(({ method }) => method)).toEqual(["GET", "POST"]);
  });

  it("leaves a pod that ends by itself the time it has, and ends the others", async () => {
    const { cluster, requests } = await clusterWith({ first: "ending", second: "running" });
    await cluster.remove(session);
    const ended = requests.find(({ method, path }) => method === "DELETE" && path.endsWith("/pods"));
    expect(ended?.query.get("gracePeriodSeconds")).toBe("1");
    expect(ended?.query.get("fieldSelector")).toBe("metadata.name!=first");
  });
});
