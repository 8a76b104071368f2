import { statfsSync } from "node:fs";
import { freemem } from "node:os";
import * as k8s from "@kubernetes/client-node";
import { isBuilt, type ServerSource } from "./build-servers.ts";
import { apiClient } from "./cluster.ts";
import { commandExists, run } from "./commands.ts";
import { ownServers } from "./environment.ts";
import { missingPackages } from "./packages.ts";
import { isRunning, logFile } from "./processes.ts";
import { cacheFolder, portOf, type StackSettings } from "./settings.ts";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { messageOf } from "../../domain/errors.ts";
import { missingAbility } from "../../domain/try-store.ts";
import { accepts } from "../accepts.ts";

/** One thing looked at; `advice` says what to do when it is not well. */
export interface Finding {
  readonly subject: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly advice?: string;
}

const gigabyte = 1024 ** 3;

/** What this machine has and lacks for building and running the stack. */
export async function inspectMachine(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (subject: string, ok: boolean, detail: string, advice?: string) =>
    findings.push({ subject, ok, detail, ...(ok || !advice ? {} : { advice }) });
  add(
    "root",
    process.getuid?.() === 0,
    `uid ${process.getuid?.()}`,
    "run as root: containers, bridges and mounts need it",
  );
  add("Debian packages by apt", await commandExists("apt-get"), "apt-get", "use Debian 12 or later");
  const go = (await commandExists("go")) ? (await run("go", ["version"])).trim() : "not found";
  const [major = 0, minor = 0] = (/go(\d+)\.(\d+)/.exec(go)?.slice(1) ?? []).map(Number);
  const built = (["s3", "kubernetes", "temporal", "traefik", "pause"] as const satisfies readonly ServerSource[]).every(
    isBuilt,
  );
  add(
    "Go 1.26 or later",
    built || major > 1 || minor >= 26,
    built ? `${go}; servers are built` : go,
    "install Go from https://go.dev/doc/install",
  );
  const missing = await missingPackages();
  add(
    "programs from Debian",
    missing.length === 0,
    missing.length === 0 ? "all there" : `missing: ${missing.join(", ")}`,
    "`npm run stack -- up` installs them",
  );
  const disk = statfsSync("/");
  const freeDisk = (disk.bavail * disk.bsize) / gigabyte;
  add(
    "disk",
    freeDisk > (built ? 3 : 15),
    `${freeDisk.toFixed(0)} GB free`,
    `free some space: a first build needs 15 GB (${cacheFolder} and Go's caches)`,
  );
  add("memory", freemem() > 2 * gigabyte, `${(freemem() / gigabyte).toFixed(1)} GB free`, "the stack needs about 2 GB");
  return findings;
}

/** Whether each server of the stack runs and answers. */
export async function inspectStack(stack: StackSettings): Promise<Finding[]> {
  const own = ownServers(process.env);
  const listening = async (subject: string, server: string, port: number, host = "127.0.0.1"): Promise<Finding> => {
    const ok = isRunning(stack, server) && (await accepts(host, port));
    const detail = ok
      ? `${host}:${port}`
      : isRunning(stack, server)
        ? `runs but does not answer on ${host}:${port}`
        : "does not run";
    return {
      subject,
      ok,
      detail,
      ...(ok ? {} : { advice: `read ${logFile(stack, server)}, then \`npm run stack -- up\`` }),
    };
  };
  const findings: Finding[] = [];
  if (!own.redis) findings.push(await listening("Redis", "redis", portOf(stack, "redis")));
  if (!own.s3)
    findings.push(
      await listening("S3", "s3", portOf(stack, "s3"), stack.gateway),
      await listening("S3 identities", "s3-identity", portOf(stack, "s3Identity"), stack.gateway),
    );
  if (!own.temporal)
    findings.push(
      await listening("Temporal", "temporal", portOf(stack, "temporal")),
      await listening("Temporal UI", "temporal", portOf(stack, "temporalUi")),
    );
  if (own.cluster) return findings;
  findings.push(
    await listening("API server", "kube-apiserver", portOf(stack, "apiServer")),
    await listening("Traefik", "traefik", portOf(stack, "ingress")),
  );
  for (const server of ["etcd", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet"]) {
    const ok = isRunning(stack, server);
    findings.push({
      subject: server,
      ok,
      detail: ok ? "runs" : "does not run",
      ...(ok ? {} : { advice: `read ${logFile(stack, server)}, then \`npm run stack -- up\`` }),
    });
  }
  findings.push(await inspectNode(stack));
  return findings;
}

/** Whether the object store can do what saves rest upon. It is tried, below a key of its own. */
export async function inspectStore(environment: Readonly<Record<string, string | undefined>>): Promise<Finding> {
  const subject = "object store's abilities";
  const { S3_ENDPOINT: endpoint, S3_REGION: region = "us-east-1", S3_BUCKET: bucket = "" } = environment;
  const { S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey } = environment;
  const store = createS3ObjectStore({ endpoint, region, bucket, accessKey, secretKey });
  try {
    await store.prepare({ mayCreate: environment["S3_CREATE_BUCKET"] !== "false" });
    const lack = await missingAbility(store);
    if (lack === undefined)
      return { subject, ok: true, detail: "conditional writes, versions, checksums, listing, delete" };
    return { subject, ok: false, detail: lack, advice: "use another store, or another release of it" };
  } catch (error) {
    return { subject, ok: false, detail: messageOf(error), advice: "the object store must answer first" };
  }
}

async function inspectNode(stack: StackSettings): Promise<Finding> {
  try {
    const node = await apiClient(stack).makeApiClient(k8s.CoreV1Api).readNode({ name: "devex" });
    const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
    const ok = ready?.status === "True";
    return {
      subject: "node",
      ok,
      detail: ok ? "Ready" : (ready?.message ?? "no condition"),
      ...(ok ? {} : { advice: `read ${logFile(stack, "kubelet")}` }),
    };
  } catch (error) {
    return {
      subject: "node",
      ok: false,
      detail: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error),
      advice: "the API server must answer first",
    };
  }
}
