import { existsSync, rmSync, writeFileSync } from "node:fs";
import { commandExists, run, runQuietly } from "./commands.ts";

/** Debian package for each program the stack calls. */
const programs: Readonly<Record<string, string>> = {
  containerd: "containerd",
  runc: "runc",
  "redis-server": "redis-server",
  mmdebstrap: "mmdebstrap",
  buildah: "buildah",
  openssl: "openssl",
  ip: "iproute2",
  nft: "nftables",
  dnsmasq: "dnsmasq-base",
};
const files: Readonly<Record<string, string>> = { "/usr/lib/cni/bridge": "containernetworking-plugins" };
const policyFile = "/usr/sbin/policy-rc.d";

export async function missingPackages(): Promise<string[]> {
  const missing = await packagesOfMissing(programs);
  for (const [file, name] of Object.entries(files)) if (!existsSync(file)) missing.push(name);
  return missing;
}

/** Debian packages of those programs that this machine lacks; `wanted` has the package of each. */
export async function packagesOfMissing(wanted: Readonly<Record<string, string>>): Promise<string[]> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(wanted)) if (!(await commandExists(program))) missing.push(name);
  return missing;
}

/** Installs what is missing from Debian, without letting any package start a service of its own. */
export async function installPackages(names: readonly string[]): Promise<string> {
  if (names.length === 0) return "all there";
  if (process.getuid?.() !== 0) {
    throw new Error(
      `needs root to install ${names.join(", ")}; run it as root, or install them first: apt-get install ${names.join(" ")}`,
    );
  }
  if (!(await commandExists("apt-get")))
    throw new Error(`needs Debian 12 or later (no apt-get here); install yourself: ${names.join(", ")}`);
  const ownPolicy = !existsSync(policyFile);
  if (ownPolicy) writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const install = ["install", "-y", "--no-install-recommends", ...names];
    await run("apt-get", ["update", "-q"], { env });
    await run("apt-get", install, { env });
  } finally {
    if (ownPolicy) rmSync(policyFile, { force: true });
  }
  await runQuietly("ldconfig", []);
  return names.join(", ");
}
