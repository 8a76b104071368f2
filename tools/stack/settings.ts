import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where one stack lives and listens. Made once by `up`, read by everything else. */
export interface StackSettings {
  readonly name: string;
  /** All state: `down` removes it whole. */
  readonly folder: string;
  /** First of a block of 30 ports on loopback. */
  readonly basePort: number;
  /** Third and second octet apart: pods of two stacks never share an address. */
  readonly subnet: string;
  readonly gateway: string;
  readonly bridge: string;
  readonly s3AccessKey: string;
  readonly s3SecretKey: string;
}

export const cacheFolder = process.env["DEVEX_CACHE"] ?? join(homedir(), ".cache", "devex");
const stacksFolder = process.env["DEVEX_STACKS"] ?? "/var/lib/devex";
const blockSize = 100;
const firstPort = 20_000;

const offsets = {
  temporal: 0,
  temporalHttp: 1,
  temporalInternal: 2,
  temporalUi: 5,
  redis: 6,
  s3: 7,
  ingress: 8,
  etcd: 9,
  etcdPeer: 10,
  apiServer: 11,
  controllerManager: 12,
  scheduler: 13,
  kubelet: 14,
  kubeletHealth: 15,
  s3Identity: 16,
} as const;

export function portOf(stack: StackSettings, part: keyof typeof offsets): number {
  return stack.basePort + offsets[part];
}

/** Reads the settings of a stack that exists; undefined when there is none of that name. */
export function readSettings(name: string): StackSettings | undefined {
  try {
    return JSON.parse(readFileSync(settingsFile(name), "utf8")) as StackSettings;
  } catch {
    return undefined;
  }
}

/** Reads the settings of a stack or gives a new one the first port block and subnet no other stack has. */
export function readOrCreateSettings(name: string): StackSettings {
  if (!/^[a-z][a-z0-9]{0,9}$/.test(name)) {
    throw new Error(`"${name}" is not a stack name: use 1 to 10 of a-z and 0-9, a letter first`);
  }
  const existing = readSettings(name);
  if (existing) return existing;
  const taken = new Set(listStacks().map((stack) => stack.basePort));
  let block = name === "dev" ? 0 : 1;
  while (taken.has(firstPort + block * blockSize)) block++;
  const settings: StackSettings = {
    name,
    folder: join(stacksFolder, name),
    basePort: firstPort + block * blockSize,
    subnet: `10.213.${block}.0/24`,
    gateway: `10.213.${block}.1`,
    bridge: `dvx-${name}`,
    s3AccessKey: `devex${randomBytes(6).toString("hex")}`,
    s3SecretKey: randomBytes(24).toString("base64url"),
  };
  mkdirSync(settings.folder, { recursive: true, mode: 0o700 });
  writeFileSync(settingsFile(name), JSON.stringify(settings, null, 2), { mode: 0o600 });
  return settings;
}

export function listStacks(): StackSettings[] {
  try {
    return readdirSync(stacksFolder).flatMap((name) => readSettings(name) ?? []);
  } catch {
    return [];
  }
}

function settingsFile(name: string): string {
  return join(stacksFolder, name, "stack.json");
}
