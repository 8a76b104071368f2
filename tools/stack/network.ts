import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, runQuietly } from "./commands.ts";
import type { StackSettings } from "./settings.ts";

/** Makes the bridge that pods hang on (S3 listens on its address) and lets pods out through the machine's address. */
export async function createNetwork(stack: StackSettings): Promise<undefined> {
  await runQuietly("ip", ["link", "add", stack.bridge, "type", "bridge"]);
  await run("ip", ["addr", "replace", `${stack.gateway}/24`, "dev", stack.bridge]);
  await run("ip", ["link", "set", stack.bridge, "up"]);
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  const rules = `
table ip ${tableOf(stack)}
delete table ip ${tableOf(stack)}
table ip ${tableOf(stack)} {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr ${stack.subnet} ip daddr != ${stack.subnet} masquerade
  }
}`;
  await run("nft", ["-f", "-"], { input: rules });
  const folder = join(stack.folder, "cni", "conf");
  mkdirSync(folder, { recursive: true });
  const addresses = {
    type: "host-local",
    dataDir: join(stack.folder, "cni", "leases"),
    ranges: [[{ subnet: stack.subnet }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const bridge = { type: "bridge", bridge: stack.bridge, isGateway: true, ipam: addresses };
  writeFileSync(
    join(folder, "10-devex.conflist"),
    JSON.stringify({ cniVersion: "0.4.0", name: stack.bridge, plugins: [bridge] }),
  );
  return undefined;
}

export async function removeNetwork(stack: StackSettings): Promise<void> {
  await runQuietly("nft", ["delete", "table", "ip", tableOf(stack)]);
  await runQuietly("ip", ["link", "delete", stack.bridge]);
}

function tableOf(stack: StackSettings): string {
  return `devex_${stack.name}`;
}
