import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildServer, isBuilt, type ServerSource } from "./build-servers.ts";
import { createCertificates } from "./certificates.ts";
import { prepareCluster, startControlPlane, startNode } from "./cluster.ts";
import { importImage, startContainerd } from "./containerd.ts";
import { bucket, ownServers } from "./environment.ts";
import { startIdentity } from "./identity.ts";
import { buildBaseImage } from "./base-image.ts";
import type { BaseImage, Image } from "./image-store.ts";
import {
  buildPauseImage,
  buildRunnerImage,
  buildSyncImage,
  buildToolchain,
  buildToolchainImage,
  toolchains,
} from "./images.ts";
import { createNetwork, startDns, startPolicyController } from "./network.ts";
import { installPackages, missingPackages } from "./packages.ts";
import type { StackSettings } from "./settings.ts";
import { startIngress, startRedis, startS3, startTemporal } from "./stores.ts";
import { runTasks, type Task } from "./tasks.ts";

/** Seconds on 2 cores with nothing built before, one build at a time (measured, see README). */
const buildSeconds: Readonly<Record<Exclude<ServerSource, "kustomize">, number>> = {
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
  const images: Record<string, Image> = {};

  const build = (name: keyof typeof buildSeconds): Task => ({
    name: `build-${name}`,
    title: `build ${name} from Go modules`,
    lane: isBuilt(name) ? `build-${name}` : "go",
    estimateSeconds: buildSeconds[name],
    run: () => buildServer(name),
  });
  const made = (name: string): Image => {
    const image = images[name];
    if (!image) throw new Error(`the image ${name} was not made`);
    return image;
  };
  const base = () => made("base") as BaseImage;
  const image = (name: string, after: string, make: () => Promise<Image>): Task => ({
    name: `image-${name}`,
    title: `image ${name}`,
    after: [after, "packages"],
    lane: `image-${name === "pause" ? name : "repl"}`,
    run: async () => {
      images[name] = await make();
      return undefined;
    },
  });
  const load = (name: string, { after = [] as string[], isForLater = false } = {}): Task => ({
    name: `load-${name}`,
    title: `load image ${name} into the node`,
    after: ["containerd", `image-${name}`, ...after],
    lane: "load",
    run: () => importImage(stack, made(name), { isForLater }),
  });
  const toolchain = (name: string): Task[] => [
    {
      name: `toolchain-${name}`,
      title: `${name} from Debian`,
      after: ["image-base"],
      lane: "apt",
      estimateSeconds: 30,
      run: () => buildToolchain(name, base()),
    },
    {
      ...image(`runner-${name}`, `toolchain-${name}`, () => buildToolchainImage(name, base(), made("runner"))),
      after: ["image-runner", `toolchain-${name}`],
    },
  ];

  const always: Task[] = [
    { name: "packages", title: "Debian packages", estimateSeconds: 60, run: () => installPackages(missing) },
    ...(own.s3 && own.cluster
      ? []
      : [{ name: "network", title: "network for pods", after: ["packages"], run: () => createNetwork(stack) }]),
    { ...image("base", "packages", buildBaseImage), title: "base image from Debian", estimateSeconds: 60 },
    image("runner", "image-base", () => buildRunnerImage(base())),
    image("sync", "image-base", () => buildSyncImage(base())),
    ...toolchains.flatMap(toolchain),
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
    load("base"),
    ...["runner", "sync"].map((name) => load(name, { after: ["load-base"] })),
    ...toolchains.map((name) => load(`runner-${name}`, { after: ["load-base"], isForLater: true })),
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
    { name: "dns", title: "names for pods", after: ["network"], run: () => startDns(stack) },
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
  const { runner, sync } = images;
  if (runner && sync)
    writeFileSync(
      join(stack.folder, "images.json"),
      JSON.stringify({ runner: runner.reference, sync: sync.reference }),
    );
}

/** The images the last `up` loaded; undefined before the first one. */
export function loadedImages(stack: StackSettings): { runner: string; sync: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(stack.folder, "images.json"), "utf8")) as { runner: string; sync: string };
  } catch {
    return undefined;
  }
}
