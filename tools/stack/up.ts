import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildServer, isBuilt, type ServerSource } from "./build-servers.ts";
import { createCertificates } from "./certificates.ts";
import { prepareCluster, startControlPlane, startNode } from "./cluster.ts";
import { importImage, startContainerd } from "./containerd.ts";
import { bucket, ownServers } from "./environment.ts";
import { startIdentity } from "./identity.ts";
import { buildBaseImage, buildPauseImage, buildRunnerImage, buildSyncImage, type Image } from "./images.ts";
import { createNetwork, startPolicyController } from "./network.ts";
import { installPackages, missingPackages } from "./packages.ts";
import type { StackSettings } from "./settings.ts";
import { startIngress, startRedis, startS3, startTemporal } from "./stores.ts";
import { runTasks, type Task } from "./tasks.ts";

/** Seconds on 2 cores with nothing built before, one build at a time (measured, see README). */
const buildSeconds: Readonly<Record<ServerSource, number>> = {
  pause: 5,
  s3: 90,
  kubernetes: 400,
  temporal: 240,
  traefik: 200,
};

/** Brings up whatever of the stack does not run yet; the first time it builds it. May be repeated. */
export async function bringUp(stack: StackSettings, print: (line: string) => void): Promise<void> {
  const own = ownServers(process.env);
  const missing = await missingPackages();
  const images: Partial<Record<"pause" | "runner" | "sync", Image>> = {};

  const build = (name: ServerSource): Task => ({
    name: `build-${name}`,
    title: `build ${name} from Go modules`,
    lane: isBuilt(name) ? `build-${name}` : "go",
    estimateSeconds: buildSeconds[name],
    run: () => buildServer(name),
  });
  const image = (name: "pause" | "runner" | "sync", after: string, make: () => Promise<Image>): Task => ({
    name: `image-${name}`,
    title: `image ${name}`,
    after: [after, "packages"],
    lane: `image-${name === "pause" ? name : "repl"}`,
    run: async () => {
      images[name] = await make();
      return undefined;
    },
  });
  const load = (name: "pause" | "runner" | "sync"): Task => ({
    name: `load-${name}`,
    title: `load image ${name} into the node`,
    after: ["containerd", `image-${name}`],
    lane: "load",
    run: async () => {
      const made = images[name];
      return made && importImage(stack, made.archive, made.reference);
    },
  });

  const always: Task[] = [
    { name: "packages", title: "Debian packages", estimateSeconds: 60, run: () => installPackages(missing) },
    ...(own.s3 && own.cluster
      ? []
      : [{ name: "network", title: "network for pods", after: ["packages"], run: () => createNetwork(stack) }]),
    { name: "base", title: "base image from Debian", after: ["packages"], estimateSeconds: 60, run: buildBaseImage },
    image("runner", "base", buildRunnerImage),
    image("sync", "base", buildSyncImage),
  ];
  const redis: Task[] = [{ name: "redis", title: "Redis", after: ["packages"], run: () => startRedis(stack) }];
  const s3: Task[] = [
    build("s3"),
    {
      name: "s3-identity",
      title: "identity server of S3",
      after: ["build-s3", "network"],
      run: () => startIdentity(stack, bucket),
    },
    { name: "s3", title: "S3 server", after: ["s3-identity"], run: () => startS3(stack) },
  ];
  const temporal: Task[] = [
    build("temporal"),
    { name: "temporal", title: "Temporal and its UI", after: ["build-temporal"], run: () => startTemporal(stack) },
  ];
  const cluster: Task[] = [
    build("pause"),
    build("kubernetes"),
    image("pause", "build-pause", buildPauseImage),
    { name: "certificates", title: "certificates", after: ["packages"], run: () => createCertificates(stack) },
    { name: "containerd", title: "containerd", after: ["network"], run: () => startContainerd(stack) },
    load("pause"),
    load("runner"),
    load("sync"),
    {
      name: "control-plane",
      title: "Kubernetes control plane",
      after: ["build-kubernetes", "certificates"],
      run: () => startControlPlane(stack),
    },
    {
      name: "node",
      title: "Kubernetes node",
      after: ["control-plane", "containerd", "load-pause"],
      run: () => startNode(stack),
    },
    {
      name: "namespace",
      title: "namespace and ingress class",
      after: ["control-plane"],
      run: () => prepareCluster(stack),
    },
    {
      name: "policies",
      title: "network policies",
      after: ["namespace", "network"],
      run: () => startPolicyController(stack),
    },
    build("traefik"),
    { name: "traefik", title: "Traefik", after: ["build-traefik", "namespace"], run: () => startIngress(stack) },
  ];
  await runTasks(
    [
      ...always,
      ...(own.s3 ? [] : s3),
      ...(own.cluster ? [] : cluster),
      ...(own.temporal ? [] : temporal),
      ...(own.redis ? [] : redis),
    ],
    print,
  );
  if (images.runner && images.sync) {
    writeFileSync(
      join(stack.folder, "images.json"),
      JSON.stringify({ runner: images.runner.reference, sync: images.sync.reference }),
    );
  }
}

/** The images the last `up` loaded; undefined before the first one. */
export function loadedImages(stack: StackSettings): { runner: string; sync: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(stack.folder, "images.json"), "utf8")) as { runner: string; sync: string };
  } catch {
    return undefined;
  }
}
