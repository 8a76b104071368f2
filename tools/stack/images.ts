import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { runnerImageWith } from "../../domain/naming.ts";
import { serverBinary } from "./build-servers.ts";
import { run } from "./commands.ts";
import { pauseImage } from "./containerd.ts";
import {
  hashOf,
  imagesFolder,
  isStored,
  removeOlder,
  storage,
  writeArchive,
  type BaseImage,
  type Image,
} from "./image-store.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const nodeModules = join(root, "node_modules");
const toolchainsFolder = join(root, "runner", "toolchains");

/** Names by which templates ask for more than the base image has. */
export const toolchains = readdirSync(toolchainsFolder).map((file) => file.replace(/\.Dockerfile$/, ""));

/** The room people work in, without any toolchain. */
export function buildRunnerImage(base: BaseImage): Promise<Image> {
  return buildImage("runner", fillRunner, { base });
}

/** The base image with a toolchain from Debian's packages; on it the runner's image of that toolchain is built. */
export async function buildToolchain(name: string, base: BaseImage): Promise<string> {
  const tag = toolchainTag(name, base);
  if (await isStored(tag)) return "cached";
  // Only the machine itself is sure to reach Debian.
  const options = ["-q", "--layers=false", "--pull-never", "--network", "host"];
  const dockerfile = join(toolchainsFolder, `${name}.Dockerfile`);
  await run("buildah", [...storage(), "bud", ...options, "-t", tag, "-f", dockerfile, toolchainsFolder]);
  return "built";
}

/** The runner's image of a toolchain, named so that templates find it beside the runner's. */
export async function buildToolchainImage(name: string, base: BaseImage, runner: Image): Promise<Image> {
  const reference = runnerImageWith(name, runner.reference);
  const archive = join(imagesFolder, `${reference.split("/").at(-1)?.replace(":", "-")}.tar`);
  // Its content is that of the runner's image, whose tag says which that is.
  if (existsSync(archive)) return { reference, archive };
  return buildImage(`runner-${name}`, fillRunner, { base, from: toolchainTag(name, base), reference });
}

/** The server inside the pod, as one file beside its Dockerfile; the libraries for terminals and for watching files keep their native parts. */
async function fillRunner(context: string): Promise<void> {
  await bundle(join(root, "runner", "main.ts"), join(context, "runner.mjs"), ["@lydell/node-pty"], [withoutTls]);
  const watcher = join("@parcel", `watcher-linux-${process.arch}-glibc`);
  cpSync(join(nodeModules, watcher), join(context, "node_modules", watcher), { recursive: true });
  for (const part of ["node-pty", `node-pty-linux-${process.arch}`])
    cpSync(join(nodeModules, "@lydell", part), join(context, "node_modules", "@lydell", part), { recursive: true });
  // The toolchains are not copied into the image; but its tag, which is also theirs, changes with them.
  for (const part of ["Dockerfile", "profile.sh", "toolchains"])
    cpSync(join(root, "runner", part), join(context, part), { recursive: true });
}

/** The program of the restore, checkpoint and save containers; its C library calls keep their native part. */
export function buildSyncImage(base: BaseImage): Promise<Image> {
  const fill = async (context: string) => {
    await bundle(join(root, "sync", "main.ts"), join(context, "sync.mjs"), ["koffi"]);
    for (const file of ["Dockerfile", "checkpoints.sh"]) copyFileSync(join(root, "sync", file), join(context, file));
    for (const part of ["koffi", join("@koromix", `koffi-linux-${process.arch}`)])
      cpSync(join(nodeModules, part), join(context, "node_modules", part), { recursive: true });
  };
  return buildImage("sync", fill, { base });
}

export function buildPauseImage(): Promise<Image> {
  const fill = async (context: string) => {
    copyFileSync(serverBinary("pause"), join(context, "pause"));
    copyFileSync(fileURLToPath(new URL("servers/pause/Dockerfile", import.meta.url)), join(context, "Dockerfile"));
  };
  return buildImage("pause", fill, { reference: pauseImage });
}

interface BuildOptions {
  /** Whose layers the node has; the Dockerfile starts from it. */
  readonly base?: BaseImage;
  /** What the Dockerfile starts from instead, itself made from the base. */
  readonly from?: string;
  /** `devex/<name>` and a digest of the content when absent. */
  readonly reference?: string;
}

/** Builds an image from a folder that `fill` makes; the same content is never built twice. */
async function buildImage(
  name: string,
  fill: (context: string) => Promise<void>,
  { base, from = base?.reference, reference }: BuildOptions,
): Promise<Image> {
  const context = join(imagesFolder, `${name}.${process.pid}`);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  try {
    await fill(context);
    const key = hashOf(base?.digest ?? "", ...contentOf(context));
    const tag = reference ?? `docker.io/devex/${name}:${key}`;
    const archive = join(imagesFolder, `${name}-${key}.tar`);
    if (!existsSync(archive)) {
      const options = ["-q", "--layers=false", "--pull-never", ...(from ? ["--build-arg", `BASE=${from}`] : [])];
      await run("buildah", [...storage(), "bud", ...options, "-t", tag, context]);
      await writeArchive(tag, archive, base?.archive);
      removeOlder(name);
    }
    return { reference: tag, archive };
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

function toolchainTag(name: string, base: BaseImage): string {
  const dockerfile = readFileSync(join(toolchainsFolder, `${name}.Dockerfile`));
  return `localhost/devex/toolchain-${name}:${hashOf(dockerfile, base.digest)}`;
}

/** Paths and bytes of all files of a folder. */
function contentOf(folder: string): (string | Buffer)[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return paths.flatMap((path) => [path.slice(folder.length), readFileSync(path)]);
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

/**
 * For a program that speaks plain HTTP/1 only: its libraries load TLS and HTTP/2 for what it does not use, 2 MB in
 * each pod. What they make of https when they load, an agent, is http's.
 */
const withoutTls: Plugin = {
  name: "without-tls",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?(?:https|http2|tls)$/ }, ({ path }) => ({ path, namespace: "without-tls" }));
    onLoad({ filter: /./, namespace: "without-tls" }, ({ path }) => ({
      contents: `module.exports = ${path.endsWith("https") ? 'require("http")' : "{}"};`,
    }));
  },
};

export async function bundle(
  entry: string,
  outfile: string,
  external: string[],
  plugins: Plugin[] = [],
): Promise<void> {
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
    plugins: [...plugins, requireHttp],
    // Packages in CommonJS call require, which an ES module lacks.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
}
