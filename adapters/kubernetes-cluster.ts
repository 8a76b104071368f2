import * as k8s from "@kubernetes/client-node";
import { ReplError } from "../domain/errors.ts";
import { annotation, fieldManager, label } from "../domain/naming.ts";
import type { Cluster } from "../domain/ports.ts";
import type { Session } from "../domain/repl.ts";
import { applyOfSession, type ObjectsOfSessions } from "./kubernetes-apply.ts";
import { informOfPods } from "./kubernetes-informer.ts";
import { translateError } from "./kubernetes-errors.ts";
import { watchPods } from "./kubernetes-watch.ts";
import { findWork } from "./find-work.ts";
import { createdAtOf, runningSession, sessionOf } from "./session-objects.ts";
import { nameOf } from "./pod-state.ts";
import { runSave } from "./run-save.ts";
import { nextSaveName } from "./save-containers.ts";
import { waitForPod } from "./wait-for-pod.ts";
import { withinTime } from "./within-time.ts";

export interface KubernetesOptions {
  /** Path of a kubeconfig; the pod's own service account when absent. */
  readonly kubeconfig?: string | undefined;
  readonly namespace: string;
  /** Stands before every call to the API server; one that rejects keeps it from being made. */
  readonly guard?: <Api extends object>(api: Api) => Api;
}

const mergePatch = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
const strategicPatch = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.StrategicMergePatch);

/** The files are saved before a pod is removed, so its programs get only a moment to end. */
const podGraceSeconds = 1;

const sessionsInPage = 200;
const ofRepls = `${label.name}=devex-repl,${label.managedBy}=devex`;

interface Selected {
  readonly namespace: string;
  readonly labelSelector: string;
}

interface Part extends Selected {
  readonly limit: number;
  readonly _continue?: string;
}

interface Kind {
  readonly list: (part: Selected & Partial<Part>) => Promise<Page>;
  readonly clear: (selected: Selected) => Promise<unknown>;
}

interface Page {
  readonly items: readonly k8s.KubernetesObject[];
  readonly metadata?: k8s.V1ListMeta;
}

/** The client itself would wait for five minutes. */
const readTimeoutMs = 30_000;

/** The node is asked for logs; one that is dead answers nothing. */
const logTimeoutMs = 5000;
const logLines = 10;

/** The cluster behind a Kubernetes API server. */
export function createKubernetesCluster(
  options: KubernetesOptions,
): Cluster<k8s.KubernetesObject, k8s.V1EphemeralContainer> {
  const { namespace, guard = (api) => api } = options;
  const config = new k8s.KubeConfig();
  if (options.kubeconfig) config.loadFromFile(options.kubeconfig);
  else config.loadFromCluster();
  const core = guard(config.makeApiClient(k8s.CoreV1Api));
  const apps = guard(config.makeApiClient(k8s.AppsV1Api));
  const networking = guard(config.makeApiClient(k8s.NetworkingV1Api));
  const objects = guard(k8s.KubernetesObjectApi.makeApiClient(config));

  /** Runs a call to the API server; a signal that ends it is passed on as what it is. */
  async function attempt<T>(what: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw signal?.aborted && error === signal.reason ? error : translateError(what, error);
    }
  }

  /** Reads something of which no call takes long. */
  const ask = <T>(what: string, call: () => Promise<T>) => attempt(what, () => withinTime(readTimeoutMs, call));

  const podsOf = (session: Session) => `${label.replId}=${session.replId},${label.sessionId}=${session.id}`;

  const partFrom = (cursor: string | undefined): Part => ({
    namespace,
    labelSelector: ofRepls,
    limit: sessionsInPage,
    ...(cursor ? { _continue: cursor } : {}),
  });

  /** All objects of sessions of one kind, never more than a page of them at once. */
  async function* pagesOf(list: (part: Part) => Promise<Page>): AsyncGenerator<readonly k8s.KubernetesObject[]> {
    let next: string | undefined;
    do {
      const part = partFrom(next);
      const { items, metadata } = await ask("list what is left of sessions", () => list(part));
      yield items;
      next = metadata?._continue;
    } while (next);
  }

  /** The kinds of a session's objects, each by its name. */
  const kinds: Readonly<Record<string, Kind>> = {
    Deployment: {
      list: (part) => apps.listNamespacedDeployment(part),
      clear: (part) => apps.deleteCollectionNamespacedDeployment(part),
    },
    Ingress: {
      list: (part) => networking.listNamespacedIngress(part),
      clear: (part) => networking.deleteCollectionNamespacedIngress(part),
    },
    Service: {
      list: (part) => core.listNamespacedService(part),
      clear: (part) => core.deleteCollectionNamespacedService(part),
    },
    Secret: {
      list: (part) => core.listNamespacedSecret(part),
      clear: (part) => core.deleteCollectionNamespacedSecret(part),
    },
  };
  const ofSessions: ObjectsOfSessions = {
    objects,
    async find({ kind = "", metadata }) {
      const labelSelector = `${label.replId}=${metadata?.labels?.[label.replId]}`;
      const found = await kinds[kind]?.list({ namespace, labelSelector });
      return found?.items.find((object) => object.metadata?.name === metadata?.name);
    },
    async isRunning(session) {
      const { items } = await apps.listNamespacedDeployment({ namespace, labelSelector: podsOf(session) });
      return items.some(({ metadata }) => !metadata?.deletionTimestamp);
    },
    clear: async ({ kind = "" }, session) => kinds[kind]?.clear({ namespace, labelSelector: podsOf(session) }),
  };

  return {
    async applySession(session, manifests) {
      const outcomes = await Promise.allSettled(
        manifests.map((manifest) => attempt("apply manifests", () => applyOfSession(ofSessions, session, manifest))),
      );
      // None is on its way any more when this fails, so that an undo finds all of them.
      const failures = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [outcome.reason as unknown] : [],
      );
      const final = failures.find((failure) => failure instanceof ReplError && failure.code === "conflict");
      if (failures.length > 0) throw final ?? failures[0];
    },

    async apply(manifests) {
      await attempt("apply manifests", () =>
        Promise.all(
          manifests.map((manifest) =>
            objects.patch(manifest, undefined, undefined, fieldManager, true, k8s.PatchStrategy.ServerSideApply),
          ),
        ),
      );
    },

    async findSession(replId) {
      const deployments = await ask("find the session", () =>
        apps.listNamespacedDeployment({ namespace, labelSelector: `${label.replId}=${replId}` }),
      );
      const labels = deployments.items.find((deployment) => !deployment.metadata?.deletionTimestamp)?.metadata?.labels;
      return labels && { id: labels[label.sessionId] ?? "", replId, userId: labels[label.userId] ?? "" };
    },

    async listSessions(userId) {
      const deployments = await ask("list sessions", () =>
        apps.listNamespacedDeployment({ namespace, labelSelector: `${label.userId}=${userId}` }),
      );
      return deployments.items.flatMap(runningSession);
    },

    async pageOfSessions(cursor) {
      const { items, metadata } = await ask("list sessions", () => apps.listNamespacedDeployment(partFrom(cursor)));
      return { sessions: items.flatMap(runningSession), ...(metadata?._continue ? { next: metadata._continue } : {}) };
    },

    async remains() {
      const running = new Set<string>();
      for await (const page of pagesOf((part) => apps.listNamespacedDeployment(part)))
        for (const deployment of page) running.add(sessionOf(deployment).id);
      const left = new Map<string, Session & { createdAt: string }>();
      const { Deployment: _, ...others } = kinds;
      for (const { list } of Object.values(others)) {
        for await (const page of pagesOf(list)) {
          for (const object of page) {
            const session = sessionOf(object);
            const createdAt = createdAtOf(object);
            const known = left.get(session.id);
            if (!running.has(session.id) && (!known || createdAt < known.createdAt))
              left.set(session.id, { ...session, createdAt });
          }
        }
      }
      return [...left.values()];
    },

    async note(session, { ending, keysRenewedAt, orphan }) {
      const annotations = {
        ...(ending === undefined ? {} : { [annotation.ending]: ending }),
        ...(keysRenewedAt ? { [annotation.keysRenewedAt]: keysRenewedAt } : {}),
        ...(orphan === undefined
          ? {}
          : {
              [annotation.orphanedSince]: orphan?.since ?? null,
              [annotation.orphanLooks]: orphan ? String(orphan.looks) : null,
            }),
      };
      const found = await attempt("find the session", () =>
        apps.listNamespacedDeployment({ namespace, labelSelector: podsOf(session) }),
      );
      const { name, uid } = found.items[0]?.metadata ?? {};
      if (!name) return;
      // With its uid, so that nothing is noted at a successor of the same name.
      const body = { metadata: { uid, annotations } };
      await attempt("note at the session", () => apps.patchNamespacedDeployment({ name, namespace, body }, mergePatch));
    },

    async watchSessions(signal, onNews) {
      await informOfPods(config, namespace, signal, onNews);
    },

    async waitForPod(session, signal, onProgress) {
      const watch = (visit: (pods: readonly k8s.V1Pod[]) => true | undefined) =>
        attempt("wait for the pod", () => watchPods(config, namespace, podsOf(session), signal, visit), signal);
      const remind = (name: string) => {
        const body = { metadata: { annotations: { [annotation.asked]: new Date().toISOString() } } };
        return core.patchNamespacedPod({ name, namespace, body }, mergePatch);
      };
      const refusal = async () => {
        const { status } = await apps.readNamespacedDeployment({ name: session.replId, namespace });
        const failure = status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True");
        return failure && (failure.message ?? failure.reason);
      };
      await waitForPod({ watch, remind, refusal }, onProgress);
    },

    async runInPod(session, containerFor, signal, onProgress, mayHoldWork) {
      const pods = await ask("find the pod", () =>
        core.listNamespacedPod({ namespace, labelSelector: podsOf(session) }),
      );
      const found = findWork(pods.items, mayHoldWork);
      if ("nothing" in found) return found;
      const { pod } = found;
      const name = nameOf(pod);
      const add = (container: string) => {
        const body = { spec: { ephemeralContainers: [containerFor(container)] } };
        return attempt("add the save container", () =>
          core.patchNamespacedPodEphemeralcontainers({ name, namespace, body }, strategicPatch),
        );
      };
      const watch = <Answer>(end: AbortSignal, visit: (now: readonly k8s.V1Pod[]) => Answer | undefined) =>
        attempt("wait for the save", () => watchPods(config, namespace, podsOf(session), end, visit), end);
      const wanted = containerFor(nextSaveName(pod));
      const readLog = (container: string) =>
        withinTime(logTimeoutMs, () => core.readNamespacedPodLog({ name, namespace, container, tailLines: logLines }));
      return runSave({ pod, wanted, add, watch, readLog }, signal, onProgress);
    },

    async remove(session) {
      const selected = { namespace, labelSelector: podsOf(session) };
      // From the top down, so that no controller makes again what was just deleted.
      await attempt("remove the session", async () => {
        const [pods] = await Promise.all([
          core.listNamespacedPod(selected),
          networking.deleteCollectionNamespacedIngress(selected),
          core.deleteCollectionNamespacedService(selected),
          apps.deleteCollectionNamespacedDeployment({ ...selected, propagationPolicy: "Background" }),
        ]);
        await apps.deleteCollectionNamespacedReplicaSet({ ...selected, propagationPolicy: "Background" });
        // A shorter grace would cut off the last checkpoint of a pod that is ending by itself.
        const others = pods.items
          .filter(({ metadata }) => metadata?.deletionTimestamp)
          .map((pod) => `metadata.name!=${nameOf(pod)}`);
        await core.deleteCollectionNamespacedPod({
          ...selected,
          ...(others.length > 0 ? { fieldSelector: others.join(",") } : {}),
          gracePeriodSeconds: podGraceSeconds,
        });
        await core.deleteCollectionNamespacedSecret(selected);
      });
    },

    async waitUntilGone(session, signal) {
      const visit = (pods: readonly k8s.V1Pod[]) => pods.length === 0 || undefined;
      try {
        const watch = () => watchPods(config, namespace, podsOf(session), signal, visit);
        return await attempt("wait for the end of the pod", watch, signal);
      } catch (error) {
        if (signal.aborted) return false;
        throw error;
      }
    },

    async check() {
      await ask("ask the API server", () => core.readNamespace({ name: namespace }));
    },
  };
}
