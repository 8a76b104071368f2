import { describe, expect, it, onTestFinished } from "vitest";
import { createKubernetesCluster } from "../../../adapters/kubernetes-cluster.ts";
import { startApiServer } from "../../fakes/api-server.ts";
import { podThatIs, type PodState } from "../../fakes/pods.ts";
import { newRecord, newSession } from "../../fakes/records.ts";

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

  it("leaves a pod that ends by itself the time it has, and ends the others", async () => {
    const { cluster, requests } = await clusterWith({ first: "ending", second: "running" });
    await cluster.remove(session);
    const ended = requests.find(({ method, path }) => method === "DELETE" && path.endsWith("/pods"));
    expect(ended?.query.get("gracePeriodSeconds")).toBe("1");
    expect(ended?.query.get("fieldSelector")).toBe("metadata.name!=first");
  });
});
