import { randomBytes } from "node:crypto";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as k8s from "@kubernetes/client-node";
import { Connection } from "@temporalio/client";
import { msToTs } from "@temporalio/common/lib/time.js";
import { currentRelease } from "../current-release.ts";
import { responds } from "../responds.ts";
import { buildBaseImage } from "./base-image.ts";
import { buildServer, serverBinary } from "./build-servers.ts";
import { apiClient, systemNamespace } from "./cluster.ts";
import { run } from "./commands.ts";
import { importImage } from "./containerd.ts";
import { stackEnvironment } from "./environment.ts";
import { buildServerImage } from "./images.ts";
import { startForwarder } from "./network.ts";
import { waitUntil } from "./processes.ts";
import { portOf, type StackSettings } from "./settings.ts";
import { searchAttributeNames } from "./stores.ts";
import { runTasks } from "./tasks.ts";
import { loadedImages } from "./up.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deployments = ["devex-api", "devex-worker"];
const rolloutSeconds = 180;
/** Apart from what runs on the machine itself, so that neither takes the other's work. */
const temporalNamespace = "devex";

/**
 * Runs API and worker inside the stack's cluster, as deploy/overlays/local says, and returns where the API answers.
 * The stack must be up. May be repeated: what has changed is rolled out. `variables` come on top of the stack's.
 */
export async function deploy(
  stack: StackSettings,
  print: (line: string) => void,
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const url = `http://${stack.gateway}:${portOf(stack, "ingress")}`;
  let image = "";
  await runTasks(
    [
      {
        name: "kustomize",
        title: "build kustomize from Go modules",
        estimateSeconds: 60,
        run: () => buildServer("kustomize"),
      },
      {
        name: "image",
        title: "image of API and worker",
        estimateSeconds: 60,
        run: async () => {
          const base = await buildBaseImage();
          const made = await buildServerImage(base, await currentRelease());
          image = made.reference;
          return importImage(stack, made, { isForLater: false });
        },
      },
      { name: "temporal", title: `Temporal namespace ${temporalNamespace}`, run: () => prepareTemporal(stack) },
      {
        name: "apply",
        title: "deploy/overlays/local",
        after: ["kustomize", "image", "temporal"],
        run: async () => {
          startForwarder(stack);
          await apply(stack, await render(stack, image, url, variables));
          return undefined;
        },
      },
      { name: "rollout", title: "API and worker are ready", after: ["apply"], run: () => rollOut(stack) },
      {
        name: "ingress",
        title: "the API answers through the ingress",
        after: ["rollout"],
        run: async () => {
          await waitUntil(stack, "the API", () => responds(`${url}/ping`), { server: "traefik" });
          return undefined;
        },
      },
    ],
    print,
  );
  return url;
}

/** Removes API and worker from the cluster; REPLs and their files stay. */
export async function undeploy(stack: StackSettings): Promise<void> {
  await apiClient(stack)
    .makeApiClient(k8s.AppsV1Api)
    .deleteCollectionNamespacedDeployment({ namespace: systemNamespace });
}

/** Resolves when all replicas of both are of the newest kind and ready. */
export async function rollOut(stack: StackSettings): Promise<undefined> {
  const apps = apiClient(stack).makeApiClient(k8s.AppsV1Api);
  const isOut = async (name: string) => {
    const { metadata, spec, status } = await apps.readNamespacedDeployment({ name, namespace: systemNamespace });
    const [wanted, generation] = [spec?.replicas, metadata?.generation ?? 0];
    return (
      (status?.observedGeneration ?? 0) >= generation &&
      [status?.replicas, status?.updatedReplicas, status?.availableReplicas].every((count) => count === wanted)
    );
  };
  for (const name of deployments)
    await waitUntil(stack, name, () => isOut(name), { server: "kubelet", timeoutSeconds: rolloutSeconds });
  return undefined;
}

/** The overlay with this stack's addresses and keys, as objects. */
async function render(
  stack: StackSettings,
  image: string,
  url: string,
  variables: Readonly<Record<string, string>>,
): Promise<k8s.KubernetesObject[]> {
  const folder = join(stack.folder, "deploy");
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(root, "deploy"), folder, { recursive: true });
  const overlay = join(folder, "overlays", "local");
  const {
    KUBECONFIG,
    TEMPORAL_UI_URL,
    S3_ACCESS_KEY = "",
    S3_SECRET_KEY = "",
    STS_SIGNING_KEY_FILE = "",
    ...open
  } = stackEnvironment(stack, loadedImages(stack), {});
  const config = {
    ...open,
    TEMPORAL_ADDRESS: `${stack.gateway}:${portOf(stack, "temporal")}`,
    TEMPORAL_NAMESPACE: temporalNamespace,
    REDIS_URL: `redis://${stack.gateway}:${portOf(stack, "redis")}`,
    // Anybody may sign in by a name alone here.
    NODE_ENV: "development",
    ...Object.fromEntries(["API_URL", "FRONTEND_URL", "RUNNER_URL", "RUNNER_API_URL"].map((name) => [name, url])),
    ...variables,
  };
  const secrets = { S3_ACCESS_KEY, S3_SECRET_KEY, SESSION_SECRET: sessionSecret(stack) };
  const lines = (values: object) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${String(value)}\n`)
      .join("");
  writeFileSync(join(overlay, "config.env"), lines(config));
  writeFileSync(join(overlay, "secrets.env"), lines(secrets), { mode: 0o600 });
  writeFileSync(join(overlay, "STS_SIGNING_KEY"), readFileSync(STS_SIGNING_KEY_FILE), { mode: 0o600 });
  const yaml = await run(serverBinary("kustomize"), ["build", overlay]);
  return k8s.loadAllYaml(yaml.replaceAll(/image: devex\/server$/gm, `image: ${image}`)) as k8s.KubernetesObject[];
}

async function apply(stack: StackSettings, wanted: readonly k8s.KubernetesObject[]): Promise<void> {
  const objects = k8s.KubernetesObjectApi.makeApiClient(apiClient(stack));
  // Namespaces come first, and kustomize orders them so.
  for (const object of wanted)
    await objects.patch(object, undefined, undefined, "devex-deploy", true, k8s.PatchStrategy.ServerSideApply);
}

/** Makes the namespace and its search attributes unless they are there. */
async function prepareTemporal(stack: StackSettings): Promise<string | undefined> {
  const connection = await Connection.connect({ address: `127.0.0.1:${portOf(stack, "temporal")}` });
  try {
    const isThere = await connection.workflowService
      .describeNamespace({ namespace: temporalNamespace })
      .then(() => true)
      .catch(() => false);
    if (isThere) return "there";
    await connection.workflowService.registerNamespace({
      namespace: temporalNamespace,
      workflowExecutionRetentionPeriod: msToTs("7 days"),
    });
    const keyword = 2;
    const searchAttributes = Object.fromEntries(searchAttributeNames.map((name) => [name, keyword]));
    const isMade = () =>
      connection.operatorService
        .addSearchAttributes({ namespace: temporalNamespace, searchAttributes })
        .then(() => true)
        .catch(() => false);
    // A new namespace is known to all parts of the server some seconds later.
    await waitUntil(stack, "the namespace", isMade, { server: "temporal" });
    return undefined;
  } finally {
    await connection.close();
  }
}

/** The same at each deploy, so that people stay signed in. */
function sessionSecret(stack: StackSettings): string {
  const file = join(stack.folder, "session-secret");
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString("hex"), { mode: 0o600 });
  return readFileSync(file, "utf8");
}
