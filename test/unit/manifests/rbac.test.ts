import { readFileSync } from "node:fs";
import { loadAllYaml, type V1Role } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const adapters = ["kubernetes-cluster", "kubernetes-informer", "kubernetes-watch"];
const source = adapters.map((name) => read(`adapters/${name}.ts`)).join("\n");
const roles = (loadAllYaml(read("deploy/base/rbac.yaml")) as V1Role[]).filter(({ kind }) => kind === "Role");

const resources: Readonly<Record<string, string>> = {
  Deployment: "deployments",
  ReplicaSet: "replicasets",
  Secret: "secrets",
  Service: "services",
  Ingress: "ingresses",
  Pod: "pods",
  PodEphemeralcontainers: "pods/ephemeralcontainers",
  PodLog: "pods/log",
};
const verbs: Readonly<Record<string, string>> = {
  list: "list",
  read: "get",
  patch: "patch",
  deleteCollection: "deletecollection",
};
/** By server-side apply: it patches, and creates what is not there. */
const applied = ["deployments", "secrets", "services", "ingresses", "networkpolicies"];

/** `resource verb` of each call to the API server that the adapters have. */
function callsOfAdapters(): Set<string> {
  const calls = [...source.matchAll(/\.(list|read|patch|deleteCollection)Namespaced([A-Za-z]+)\(/g)].map(
    ([, verb = "", kind = ""]) => `${resources[kind]} ${verbs[verb]}`,
  );
  const byApply = applied.flatMap((resource) => [`${resource} create`, `${resource} patch`]);
  return new Set([...calls, ...byApply, "pods watch", "namespaces get"]);
}

const grantedTo = (name: string) =>
  new Set(
    roles
      .find(({ metadata }) => metadata?.name === name)
      ?.rules?.flatMap((rule) => (rule.resources ?? []).flatMap((what) => rule.verbs.map((verb) => `${what} ${verb}`))),
  );

describe("roles in the cluster", () => {
  it("grant the worker exactly what the adapters call", () => {
    expect([...grantedTo("devex-worker")].sort()).toEqual([...callsOfAdapters()].sort());
  });

  it("let the API look and change nothing", () => {
    expect([...grantedTo("devex-api")].sort()).toEqual(["deployments list", "namespaces get"]);
  });

  it("name no cluster-wide right and no wildcard", () => {
    expect(read("deploy/base/rbac.yaml")).not.toMatch(/ClusterRole|\*/);
  });
});
