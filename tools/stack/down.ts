import { existsSync, readFileSync, readdirSync, rmSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupFolders } from "./cluster.ts";
import { runQuietly } from "./commands.ts";
import { killContainers } from "./containerd.ts";
import { removeIdentity } from "./identity.ts";
import { removeNetwork } from "./network.ts";
import { listServers, stopServer } from "./processes.ts";
import type { StackSettings } from "./settings.ts";

/** Stops every server, ends every container and removes all state of this stack, and of no other. */
export async function takeDown(stack: StackSettings): Promise<void> {
  const servers = listServers(stack);
  // The kubelet first, or it would start again what is being ended.
  await stopServer(stack, "kubelet", 3);
  await killContainers(stack);
  await Promise.all(servers.filter((name) => name !== "etcd").map((name) => stopServer(stack, name)));
  await stopServer(stack, "etcd");
  await unmountUnder(stack.folder);
  await removeNetwork(stack);
  await removeIdentity(stack);
  for (const folder of cgroupFolders(stack)) removeCgroup(folder);
  rmSync(stack.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function unmountUnder(folder: string): Promise<void> {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1]?.replace(/\\040/g, " ") ?? "")
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
  for (const mount of mounts) await runQuietly("umount", ["-l", mount]);
}

function removeCgroup(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  try {
    rmdirSync(folder);
  } catch {
    // A process that is still ending holds it; an empty group costs nothing and the next `down` takes it.
  }
}
