import { createHash } from "node:crypto";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { serverBinary } from "./build-servers.ts";
import { run, runQuietly } from "./commands.ts";
import { pauseImage } from "./containerd.ts";
import { cacheFolder } from "./settings.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const nodeModules = join(root, "node_modules");

/** Both Dockerfiles start from this; where no registry answers, an image of that name is made from Debian's packages. */
const baseImage = "docker.io/library/node:24-bookworm-slim";
const basePackages = [
  "ca-certificates",
  "git",
  "python3",
  "python3-pip",
  "python3-venv",
  "procps",
  "less",
  "curl",
  "tini",
];

export interface Image {
  readonly archive: string;
  readonly reference: string;
}

/** Makes the base image once: Debian by mmdebstrap, and the node binary that npm brought. */
export async function buildBaseImage(): Promise<string> {
  const key = hashOf(basePackages.join(","), readFileSync(join(nodeModules, "node", "package.json")));
  const marker = join(cacheFolder, "images", `base-${key}`);
  if (existsSync(marker) && (await runQuietly("buildah", [...storage(), "images", "-q", baseImage])) !== "")
    return "cached";
  rmSync(marker, { force: true });
  const work = join(cacheFolder, "images", `base.${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const archive = join(work, "root.tar");
    const include = `--include=${basePackages.join(",")}`;
    const slim = [
      "/usr/share/doc/*",
      "/usr/share/man/*",
      "/usr/share/locale/*",
      "/var/lib/apt/lists/*",
      "/var/cache/apt/*",
    ].map((path) => `--dpkgopt=path-exclude=${path}`);
    // The user that images of this name come with, so that the Dockerfiles find it here too.
    const user = 'chroot "$1" useradd --uid 1000 --user-group --create-home --shell /bin/bash node';
    await run("mmdebstrap", ["--variant=minbase", include, ...slim, `--customize-hook=${user}`, "bookworm", archive]);
    const container = (await run("buildah", [...storage(), "from", "scratch"])).trim();
    await run("buildah", [...storage(), "add", container, archive, "/"]);
    await run("buildah", [...storage(), "copy", "--chmod", "755", container, nodeBinary(), "/usr/local/bin/node"]);
    const npm = await npmFolder();
    if (npm) {
      await run("buildah", [...storage(), "copy", container, npm, "/usr/local/lib/node_modules/npm"]);
      const link =
        "ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx";
      await run("buildah", [...storage(), "run", container, "--", "sh", "-c", link]);
    }
    await run("buildah", [...storage(), "commit", "--rm", "-q", container, baseImage]);
    await run("touch", [marker]);
    return "built";
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The server inside the pod, as one file beside its Dockerfile; the libraries for terminals and for watching files keep their native parts. */
export function buildRunnerImage(): Promise<Image> {
  return buildImage("runner", async (context) => {
    await bundle(join(root, "runner", "main.ts"), join(context, "runner.mjs"), ["@lydell/node-pty"]);
    const watcher = join("@parcel", `watcher-linux-${process.arch}-glibc`);
    cpSync(join(nodeModules, watcher), join(context, "node_modules", watcher), { recursive: true });
    copyFileSync(join(root, "runner", "Dockerfile"), join(context, "Dockerfile"));
    for (const part of ["node-pty", `node-pty-linux-${process.arch}`]) {
      cpSync(join(nodeModules, "@lydell", part), join(context, "node_modules", "@lydell", part), { recursive: true });
    }
  });
}

/** The program of the restore, checkpoint and save containers; its C library calls keep their native part. */
export function buildSyncImage(): Promise<Image> {
  return buildImage("sync", async (context) => {
    await bundle(join(root, "sync", "main.ts"), join(context, "sync.mjs"), ["koffi"]);
    for (const file of ["Dockerfile", "checkpoints.sh"]) copyFileSync(join(root, "sync", file), join(context, file));
    for (const part of ["koffi", join("@koromix", `koffi-linux-${process.arch}`)]) {
      cpSync(join(nodeModules, part), join(context, "node_modules", part), { recursive: true });
    }
  });
}

export async function buildPauseImage(): Promise<Image> {
  const image = await buildImage(
    "pause",
    async (context) => {
      copyFileSync(serverBinary("pause"), join(context, "pause"));
      copyFileSync(fileURLToPath(new URL("servers/pause/Dockerfile", import.meta.url)), join(context, "Dockerfile"));
    },
    pauseImage,
  );
  return { ...image, reference: pauseImage };
}

/** Builds `devex/<name>` from a folder that `fill` makes; the same content is never built twice. */
async function buildImage(name: string, fill: (context: string) => Promise<void>, reference?: string): Promise<Image> {
  const context = join(cacheFolder, "images", `${name}.${process.pid}`);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  try {
    await fill(context);
    const key = hashFolder(context);
    const tag = reference ?? `docker.io/devex/${name}:${key}`;
    const archive = join(cacheFolder, "images", `${name}-${key}.tar`);
    if (!existsSync(archive)) {
      await run("buildah", [...storage(), "bud", "-q", "--layers=false", "--pull-never", "-t", tag, context]);
      await run("buildah", [...storage(), "push", "-q", tag, `docker-archive:${archive}.part:${tag}`]);
      renameSync(`${archive}.part`, archive);
    }
    return { archive, reference: tag };
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** An ES module that imports http has Node load its own fetch too, 13 MB and some milliseconds; `require` does not. */
const requireHttp: Plugin = {
  name: "require-http",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?https?$/ }, ({ path, kind }) =>
      kind === "require-call" ? undefined : { path, namespace: "require-http" },
    );
    onLoad({ filter: /./, namespace: "require-http" }, ({ path }) => ({
      contents: `module.exports = require("${path.replace(/^node:/, "")}");`,
    }));
  },
};

export async function bundle(entry: string, outfile: string, external: string[]): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    external,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    plugins: [requireHttp],
    // Packages in CommonJS call require, which an ES module lacks.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
}

function storage(): string[] {
  return ["--root", join(cacheFolder, "buildah"), "--runroot", "/run/devex-buildah", "--storage-driver", "overlay"];
}

function nodeBinary(): string {
  const own = join(nodeModules, "node", "bin", "node");
  return existsSync(own) ? own : process.execPath;
}

/** npm comes with the machine's own node; a REPL without it could install nothing. */
async function npmFolder(): Promise<string | undefined> {
  const folder = (
    await runQuietly("sh", ["-c", "PATH=$(echo $PATH | tr : '\\n' | grep -v node_modules | paste -sd:); npm root -g"])
  ).trim();
  return folder && existsSync(join(folder, "npm", "bin", "npm-cli.js")) ? join(folder, "npm") : undefined;
}

function hashFolder(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return hashOf(
    ...paths.flatMap((path) => [path.slice(folder.length), readFileSync(path)]),
    baseImage,
    basePackages.join(","),
  );
}

function hashOf(...parts: (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}
