import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { firstServiceAddress, kubeconfigFile } from "./certificates.ts";
import { replNamespace, systemNamespace } from "./cluster.ts";
import { run, runQuietly } from "./commands.ts";
import { startServer } from "./processes.ts";
import { portOf, type StackSettings } from "./settings.ts";

const forwarder = fileURLToPath(new URL("forwarder.ts", import.meta.url));
const policyController = fileURLToPath(new URL("policy-controller.ts", import.meta.url));

/**
 * Makes the bridge that pods hang on (S3 listens on its address) and lets pods out through the machine's address. Where
 * pods look for the API server, they find it: that is all the node does of what kube-proxy would.
 */
export async function createNetwork(stack: StackSettings): Promise<undefined> {
  await runQuietly("ip", ["link", "add", stack.bridge, "type", "bridge"]);
  await run("ip", ["addr", "replace", `${stack.gateway}/24`, "dev", stack.bridge]);
  await run("ip", ["link", "set", stack.bridge, "up"]);
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  const rules = `
table ip ${tableOf(stack)}
delete table ip ${tableOf(stack)}
table ip ${tableOf(stack)} {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    iifname "${stack.bridge}" ip daddr ${firstServiceAddress} tcp dport 443 dnat to ${stack.gateway}:${portOf(stack, "apiServer")}
  }
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

/** Passes the pods' questions for names on to the machine's name servers, as a cluster's CoreDNS does. */
export async function startDns(stack: StackSettings): Promise<undefined> {
  const options = [
    "keep-in-foreground",
    "conf-file=",
    "user=root",
    "pid-file=",
    `listen-address=${stack.gateway}`,
    "bind-interfaces",
    "no-hosts",
    // Services have no names here: the node has no proxy for them.
    "local=/cluster.local/",
    "log-facility=-",
  ];
  startServer(stack, { name: "dns", command: "dnsmasq", args: options.map((option) => `--${option}`) });
  return undefined;
}

/** Keeps the node to the namespaces' NetworkPolicies: no controller for them could be had as a Go module. */
export async function startPolicyController(stack: StackSettings): Promise<undefined> {
  startServer(stack, {
    name: "policies",
    command: process.execPath,
    args: [
      policyController,
      kubeconfigFile(stack),
      policyTableOf(stack),
      stack.bridge,
      stack.subnet,
      replNamespace,
      systemNamespace,
    ],
  });
  return undefined;
}

/** Lets pods of the system reach what listens on loopback only. */
export function startForwarder(stack: StackSettings): void {
  const ports = (["apiServer", "temporal", "redis"] as const).map((part) => String(portOf(stack, part)));
  startServer(stack, { name: "forwarder", command: process.execPath, args: [forwarder, stack.gateway, ...ports] });
}

export async function removeNetwork(stack: StackSettings): Promise<void> {
  await runQuietly("nft", ["delete", "table", "ip", tableOf(stack)]);
  for (const family of ["ip", "bridge"]) await runQuietly("nft", ["delete", "table", family, policyTableOf(stack)]);
  await runQuietly("ip", ["link", "delete", stack.bridge]);
}

function policyTableOf(stack: StackSettings): string {
  return `${tableOf(stack)}_policy`;
}

function tableOf(stack: StackSettings): string {
  return `devex_${stack.name}`;
}
