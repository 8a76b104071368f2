import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandExists, run } from "./commands.ts";
import { cacheFolder } from "./settings.ts";

const sources = fileURLToPath(new URL("servers", import.meta.url));

/** A Go program of the stack; its go.mod and go.sum pin every line of it. */
interface Source {
  /** Package to build, from the folder `servers/<name>`. */
  readonly target: string;
  /** Names the one binary is called by, where it is several servers. */
  readonly links?: readonly string[];
  readonly prepare?: (folder: string) => Promise<void>;
}

const servers = {
  pause: { target: "." },
  s3: { target: "github.com/versity/versitygw/cmd/versitygw" },
  kubernetes: {
    target: ".",
    links: ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"],
  },
  temporal: { target: "." },
  kustomize: { target: "sigs.k8s.io/kustomize/kustomize/v5" },
  traefik: { target: "github.com/traefik/traefik/v3/cmd/traefik", prepare: trimLego },
} as const satisfies Record<string, Source>;

export type ServerSource = keyof typeof servers;

/** The finished binary, or one of its links. */
export function serverBinary(name: ServerSource, link: string = name): string {
  return join(buildFolder(name), link);
}

/** Builds one server unless the cache has this exact version of it. May be repeated and interrupted. */
export async function buildServer(name: ServerSource): Promise<string> {
  const folder = buildFolder(name);
  if (existsSync(folder)) return "cached";
  if (!(await commandExists("go"))) {
    throw new Error(
      "needs Go 1.26 or later to build the servers once; see https://go.dev/doc/install (or set the variables of servers you have, see README)",
    );
  }
  const { target, links, prepare }: Source = servers[name];
  const work = `${folder}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    cpSync(join(sources, name), join(work, "src"), { recursive: true });
    await prepare?.(join(work, "src"));
    const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -trimpath -buildvcs=false", GOWORK: "off" };
    await run("go", ["build", "-ldflags=-s -w", "-o", join(work, name), target], { cwd: join(work, "src"), env });
    for (const link of links ?? []) symlinkSync(name, join(work, link));
    rmSync(join(work, "src"), { recursive: true, force: true });
    if (existsSync(folder)) return "cached";
    renameSync(work, folder);
    return "built";
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export function isBuilt(name: ServerSource): boolean {
  return existsSync(buildFolder(name));
}

function buildFolder(name: ServerSource): string {
  const hash = createHash("sha256");
  for (const file of listFiles(join(sources, name)))
    hash.update(`${file}\0`).update(readFileSync(join(sources, name, file)));
  hash.update(process.arch);
  return join(cacheFolder, "servers", `${name}-${hash.digest("hex").slice(0, 12)}`);
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Puts the published lego beside Traefik's go.mod, without its 150 DNS companies (see servers/traefik/dns). */
async function trimLego(folder: string): Promise<void> {
  const version = /github\.com\/go-acme\/lego\/v4 (v\S+)/.exec(readFileSync(join(folder, "go.mod"), "utf8"))?.[1];
  const module = await run("go", ["mod", "download", "-json", `github.com/go-acme/lego/v4@${version}`], {
    env: process.env,
    cwd: "/",
  });
  const lego = join(folder, "lego");
  await run("cp", ["-r", "--no-preserve=mode", (JSON.parse(module) as { Dir: string }).Dir, lego]);
  for (const part of ["providers/dns", "cmd", "docs", "e2e"])
    rmSync(join(lego, part), { recursive: true, force: true });
  cpSync(join(folder, "dns"), join(lego, "providers", "dns"), { recursive: true });
  rmSync(join(folder, "dns"), { recursive: true });
}
