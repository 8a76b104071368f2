import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, runQuietly } from "./commands.ts";
import type { Image } from "./image-store.ts";
import { startServer, waitUntil } from "./processes.ts";
import type { StackSettings } from "./settings.ts";

export const pauseImage = "docker.io/devex/pause:1";

export function containerdSocket(stack: StackSettings): string {
  return join(stack.folder, "containerd", "containerd.sock");
}

/** Runs a containerd of our own: own root, state and socket, so that it never meets another one. */
export async function startContainerd(stack: StackSettings): Promise<undefined> {
  const folder = join(stack.folder, "containerd");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "config.toml");
  // restrict_oom_score_adj: without CAP_SYS_RESOURCE every sandbox would die when it lowers its score.
  writeFileSync(
    file,
    `version = 2
root = "${join(folder, "root")}"
state = "${join(folder, "state")}"
[grpc]
  address = "${containerdSocket(stack)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(folder, "opt")}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(stack.folder, "cni", "conf")}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`,
  );
  startServer(stack, { name: "containerd", command: "containerd", args: ["--config", file, "--log-level", "warn"] });
  await waitUntil(stack, "containerd", async () => (await ctr(stack, ["version"])) !== "", { server: "containerd" });
  return undefined;
}

/** Makes an archive's image known to the node; nothing happens when it is known. One for later is unpacked by its first container. */
export async function importImage(
  stack: StackSettings,
  { archive, reference }: Image,
  { isForLater }: { readonly isForLater: boolean },
): Promise<string | undefined> {
  const known = await ctr(stack, ["images", "list", "-q"]);
  if (known.split("\n").includes(reference)) return "there";
  await ctr(stack, ["images", "import", ...(isForLater ? ["--no-unpack"] : []), archive]);
  return undefined;
}

/** Ends every container and its shim; used when the stack goes away. */
export async function killContainers(stack: StackSettings): Promise<void> {
  const shims = await runQuietly("pgrep", ["-f", `containerd-shim.*-address ${containerdSocket(stack)}`]);
  for (const pid of shims.split("\n").filter(Boolean)) {
    const children = await runQuietly("pgrep", ["-P", pid]);
    for (const victim of [...children.split("\n").filter(Boolean), pid]) await runQuietly("kill", ["-9", victim]);
  }
}

async function ctr(stack: StackSettings, args: readonly string[]): Promise<string> {
  return run("ctr", ["--address", containerdSocket(stack), "--namespace", "k8s.io", ...args]);
}
