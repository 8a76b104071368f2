import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as k8s from "@kubernetes/client-node";
import { serverBinary } from "./build-servers.ts";
import { certificateFile, kubeconfigFile, serviceRange } from "./certificates.ts";
import { containerdSocket } from "./containerd.ts";
import { startServer, waitUntil } from "./processes.ts";
import { portOf, type StackSettings } from "./settings.ts";

export const replNamespace = "devex-repls";
/** Of API and worker, when they run in the cluster too. */
export const systemNamespace = "devex";
export const ingressClass = "devex";
const controllers = [
  "cpu",
  "cpuacct",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
  "systemd",
  "hugetlb",
  "net_cls",
  "net_prio",
  "perf_event",
  "unified",
];

export function cgroupFolders(stack: StackSettings): string[] {
  return ["", ...controllers].map((controller) => join("/sys/fs/cgroup", controller, `devex-${stack.name}`));
}

export async function startControlPlane(stack: StackSettings): Promise<undefined> {
  const binary = (name: string) => serverBinary("kubernetes", name);
  const etcd = `http://127.0.0.1:${portOf(stack, "etcd")}`;
  const etcdPeer = `http://127.0.0.1:${portOf(stack, "etcdPeer")}`;
  // A throw-away cluster: the truth is in the object store, so etcd may skip fsync.
  startServer(stack, {
    name: "etcd",
    command: binary("etcd"),
    args: [
      `--data-dir=${join(stack.folder, "etcd")}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${etcdPeer}`,
      `--initial-advertise-peer-urls=${etcdPeer}`,
      `--initial-cluster=default=${etcdPeer}`,
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
  });
  const pki = (name: string, kind: "crt" | "key") => certificateFile(stack, name, kind);
  const serviceAccountKey = join(stack.folder, "pki", "service-accounts.key");
  startServer(stack, {
    name: "kube-apiserver",
    command: binary("kube-apiserver"),
    args: [
      `--etcd-servers=${etcd}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      `--secure-port=${portOf(stack, "apiServer")}`,
      `--service-cluster-ip-range=${serviceRange}`,
      "--authorization-mode=Node,RBAC",
      "--endpoint-reconciler-type=none",
      "--allow-privileged=true",
      "--anonymous-auth=false",
      "--kubelet-preferred-address-types=InternalIP",
      `--client-ca-file=${pki("ca", "crt")}`,
      `--tls-cert-file=${pki("apiserver", "crt")}`,
      `--tls-private-key-file=${pki("apiserver", "key")}`,
      `--kubelet-client-certificate=${pki("kubelet-client", "crt")}`,
      `--kubelet-client-key=${pki("kubelet-client", "key")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${serviceAccountKey}`,
      `--service-account-signing-key-file=${serviceAccountKey}`,
    ],
  });
  const api = apiClient(stack).makeApiClient(k8s.CoreV1Api);
  await waitUntil(stack, "the API server", async () => (await api.listNamespace()).items.length > 0, {
    server: "kube-apiserver",
  });
  startServer(stack, {
    name: "kube-controller-manager",
    command: binary("kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfigFile(stack, "controller-manager")}`,
      `--secure-port=${portOf(stack, "controllerManager")}`,
      "--bind-address=127.0.0.1",
      "--leader-elect=false",
      "--use-service-account-credentials=true",
      `--root-ca-file=${pki("ca", "crt")}`,
      `--service-account-private-key-file=${serviceAccountKey}`,
    ],
  });
  const scheduler = join(stack.folder, "scheduler.json");
  const scheduling = {
    apiVersion: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    clientConnection: { kubeconfig: kubeconfigFile(stack, "scheduler") },
    leaderElection: { leaderElect: false },
    // By default who has waited longest for room is looked at least often, and those who come later go before.
    podInitialBackoffSeconds: 1,
    podMaxBackoffSeconds: 1,
  };
  writeFileSync(scheduler, JSON.stringify(scheduling));
  startServer(stack, {
    name: "kube-scheduler",
    command: binary("kube-scheduler"),
    args: [`--config=${scheduler}`, `--secure-port=${portOf(stack, "scheduler")}`, "--bind-address=127.0.0.1"],
  });
  return undefined;
}

export async function startNode(stack: StackSettings): Promise<undefined> {
  for (const folder of cgroupFolders(stack).slice(1)) makeFolderIfPossible(folder);
  const configuration = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    // The bridge's address: the kubelet refuses loopback, and nothing outside the machine reaches this one.
    address: stack.gateway,
    port: portOf(stack, "kubelet"),
    healthzPort: portOf(stack, "kubeletHealth"),
    readOnlyPort: 0,
    tlsCertFile: certificateFile(stack, "kubelet-server", "crt"),
    tlsPrivateKeyFile: certificateFile(stack, "kubelet-server", "key"),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: certificateFile(stack, "ca", "crt") },
    },
    authorization: { mode: "AlwaysAllow" },
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/devex-${stack.name}`,
    failCgroupV1: false,
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${containerdSocket(stack)}`,
    serializeImagePulls: false,
    podLogsDir: join(stack.folder, "pod-logs"),
    staticPodPath: "",
    clusterDNS: [stack.gateway],
    clusterDomain: "cluster.local",
    // Its chains in the machine's tables would stay behind; nothing here needs them.
    makeIPTablesUtilChains: false,
    // The machine's disk is shared with everything else on it, so only a nearly full one evicts.
    evictionHard: {
      "memory.available": "50Mi",
      "nodefs.available": "1%",
      "imagefs.available": "1%",
      "nodefs.inodesFree": "1%",
    },
    imageGCHighThresholdPercent: 100,
    maxPods: 250,
    podPidsLimit: 1024,
  };
  const file = join(stack.folder, "kubelet.json");
  writeFileSync(file, JSON.stringify(configuration));
  startServer(stack, {
    name: "kubelet",
    command: serverBinary("kubernetes", "kubelet"),
    args: [
      `--config=${file}`,
      `--kubeconfig=${kubeconfigFile(stack, "kubelet")}`,
      `--root-dir=${join(stack.folder, "kubelet")}`,
      "--hostname-override=devex",
      `--node-ip=${stack.gateway}`,
    ],
  });
  const api = apiClient(stack).makeApiClient(k8s.CoreV1Api);
  const isReady = async () => {
    const node = await api.readNode({ name: "devex" });
    const tainted = (node.spec?.taints ?? []).some((taint) => taint.key.startsWith("node.kubernetes.io/not-ready"));
    return (
      !tainted &&
      (node.status?.conditions ?? []).some((condition) => condition.type === "Ready" && condition.status === "True")
    );
  };
  await waitUntil(stack, "a Ready node", isReady, { server: "kubelet", timeoutSeconds: 120 });
  return undefined;
}

/** Applies what a cluster administrator would: the namespace of the REPLs with its pod security level, and the ingress class. */
export async function prepareCluster(stack: StackSettings): Promise<undefined> {
  const objects = k8s.KubernetesObjectApi.makeApiClient(apiClient(stack));
  const level = "restricted";
  const wanted: k8s.KubernetesObject[] = [
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: replNamespace,
        labels: { "pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/warn": level },
      },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: ingressClass },
      spec: { controller: "traefik.io/ingress-controller" },
    } as k8s.KubernetesObject,
  ];
  for (const object of wanted)
    await objects.patch(object, undefined, undefined, "devex-stack", true, k8s.PatchStrategy.ServerSideApply);
  return undefined;
}

export function apiClient(stack: StackSettings): k8s.KubeConfig {
  const config = new k8s.KubeConfig();
  config.loadFromFile(kubeconfigFile(stack));
  return config;
}

function makeFolderIfPossible(folder: string): void {
  try {
    mkdirSync(folder);
  } catch {
    // Not every controller is mounted on every machine.
  }
}
