import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Names in the lockfile what packages bring for other platforms. A registry that does not serve those makes
 * npm leave them out when it writes the lockfile, and then refuse that lockfile in `npm ci`. Run it after a
 * dependency has changed.
 */

interface Package {
  readonly version?: string;
  readonly optionalDependencies?: Record<string, string>;
  readonly optional?: boolean;
  readonly os?: string[];
  readonly cpu?: string[];
}

const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Package> };
const systems = ["darwin", "win32", "linux", "freebsd", "android", "openharmony", "openbsd", "netbsd", "sunos", "aix"];
const processors = ["arm64", "x64", "ia32", "arm", "ppc64", "s390x", "riscv64", "loong64", "mips64el"];
let added = 0;

for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] || !/^\d/.test(version)) continue;
    const parts = name.split(/[-/]/).map((part) => (part === "windows" ? "win32" : part));
    const os = systems.find((system) => parts.includes(system));
    // arm-gnueabihf, armv7 and the like are all "arm".
    const cpu =
      processors.find((processor) => parts.includes(processor)) ??
      (parts.some((part) => part.startsWith("arm")) ? "arm" : undefined);
    if (!os && !parts.includes("wasm32")) continue;
    lock.packages[key] = { version, optional: true, ...(os ? { os: [os] } : {}), cpu: [cpu ?? "wasm32"] };
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} packages of other platforms added to package-lock.json`);
