import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { accepts } from "../accepts.ts";
import { serverBinary } from "./build-servers.ts";
import { kubeconfigFile } from "./certificates.ts";
import { replNamespace, systemNamespace } from "./cluster.ts";
import { identitySocket } from "./identity.ts";
import { startServer, waitUntil } from "./processes.ts";
import { portOf, type StackSettings } from "./settings.ts";

/** By which operators find workflows; each is a Keyword. */
export const searchAttributeNames = ["ReplId", "UserId", "Template"];

export async function startRedis(stack: StackSettings): Promise<undefined> {
  const port = portOf(stack, "redis");
  startServer(stack, {
    name: "redis",
    command: "redis-server",
    args: ["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no", "--dir", stack.folder],
  });
  await waitUntil(stack, "Redis", () => accepts("127.0.0.1", port), { server: "redis" });
  return undefined;
}

/** The S3 server listens on the bridge, because the pods' restore and save containers need it too. */
export async function startS3(stack: StackSettings): Promise<undefined> {
  const [data, versions] = ["data", "versions"].map((name) => join(stack.folder, "s3", name)) as [string, string];
  for (const folder of [data, versions]) mkdirSync(folder, { recursive: true });
  startServer(stack, {
    name: "s3",
    command: serverBinary("s3"),
    args: [
      "--port",
      `${stack.gateway}:${portOf(stack, "s3")}`,
      "--region",
      "us-east-1",
      "--quiet",
      // As S3 itself does; a new connection for each small object would be a third of its time.
      "--keep-alive",
      "--iam-standalone-endpoint",
      identitySocket(stack),
      "posix",
      "--versioning-dir",
      versions,
      data,
    ],
    env: { ROOT_ACCESS_KEY: stack.s3AccessKey, ROOT_SECRET_KEY: stack.s3SecretKey },
  });
  await waitUntil(stack, "the S3 server", () => accepts(stack.gateway, portOf(stack, "s3")), { server: "s3" });
  return undefined;
}

export async function startTemporal(stack: StackSettings): Promise<undefined> {
  const port = portOf(stack, "temporal");
  const ports = [
    "--port",
    port,
    "--http-port",
    portOf(stack, "temporalHttp"),
    "--internal-port",
    portOf(stack, "temporalInternal"),
    "--ui-port",
    portOf(stack, "temporalUi"),
  ];
  const attributes = searchAttributeNames.flatMap((name) => ["--search-attribute", `${name}=Keyword`]);
  startServer(stack, {
    name: "temporal",
    command: serverBinary("temporal"),
    args: [...ports.map(String), "--database", join(stack.folder, "temporal.db"), ...attributes],
  });
  await waitUntil(stack, "Temporal", () => accepts("127.0.0.1", port), { server: "temporal" });
  return undefined;
}

/** Traefik runs beside the cluster and routes straight to the pods' addresses. */
export async function startIngress(stack: StackSettings): Promise<undefined> {
  const port = portOf(stack, "ingress");
  startServer(stack, {
    name: "traefik",
    command: serverBinary("traefik"),
    args: [
      `--entrypoints.web.address=127.0.0.1:${port}`,
      // Pods, API and worker in the cluster among them, know this address only.
      `--entrypoints.bridge.address=${stack.gateway}:${port}`,
      // A large upload takes longer than the minute that is the default.
      "--entrypoints.web.transport.respondingtimeouts.readtimeout=0",
      "--entrypoints.bridge.transport.respondingtimeouts.readtimeout=0",
      "--providers.kubernetesingress=true",
      `--providers.kubernetesingress.namespaces=${replNamespace},${systemNamespace}`,
      // Two seconds by default, and an open would wait for nothing.
      "--providers.providersthrottleduration=50ms",
      "--global.checknewversion=false",
      "--global.sendanonymoususage=false",
      "--log.level=WARN",
    ],
    env: { KUBECONFIG: kubeconfigFile(stack) },
  });
  await waitUntil(stack, "Traefik", () => accepts("127.0.0.1", port), { server: "traefik" });
  return undefined;
}
