import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runnerImageWith } from "../../domain/naming.ts";
import { fillProgram, serverSources, type Program } from "../image-contents.ts";
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

/** The program of the restore, checkpoint and save containers. */
export function buildSyncImage(base: BaseImage): Promise<Image> {
  return buildImage("sync", fillWith("sync", "sync/Dockerfile"), { base });
}

/** API and worker; `buildId` is the release that it says it is. */
export function buildServerImage(base: BaseImage, buildId: string): Promise<Image> {
  const dockerfile = "deploy/Dockerfile";
  const sources = [...serverSources, "package-lock.json", dockerfile].map((path) => join(root, path));
  return buildImage("server", fillWith("server", dockerfile), { base, arguments: { BUILD_ID: buildId }, sources });
}

/** A program as its Dockerfile wants to find it. */
function fillWith(program: Program, dockerfile: string) {
  return async (context: string): Promise<void> => {
    await fillProgram(program, join(context, "out"));
    copyFileSync(join(root, dockerfile), join(context, "Dockerfile"));
  };
}

async function fillRunner(context: string): Promise<void> {
  await fillWith("runner", "runner/Dockerfile")(context);
  // The toolchains are not copied into the image; but its tag, which is also theirs, changes with them.
  cpSync(toolchainsFolder, join(context, "toolchains"), { recursive: true });
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
  /** Files and folders that the content follows from, where they are read more quickly than it is made. */
  readonly sources?: readonly string[];
  /** Of the Dockerfile, by name. */
  readonly arguments?: Readonly<Record<string, string>>;
}

/** Builds an image from a folder that `fill` makes; the same content is never built twice. */
async function buildImage(
  name: string,
  fill: (context: string) => Promise<void>,
  { base, from = base?.reference, reference, sources, arguments: given = {} }: BuildOptions,
): Promise<Image> {
  const context = join(imagesFolder, `${name}.${process.pid}`);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  try {
    const keyOf = (content: (string | Buffer)[]) => hashOf(base?.digest ?? "", JSON.stringify(given), ...content);
    const imageOf = (key: string) => ({
      reference: reference ?? `docker.io/devex/${name}:${key}`,
      archive: join(imagesFolder, `${name}-${key}.tar`),
    });
    const known = sources && imageOf(keyOf(sources.flatMap(contentOf)));
    if (known && existsSync(known.archive)) return known;
    await fill(context);
    const image = known ?? imageOf(keyOf(contentOf(context)));
    if (!existsSync(image.archive)) {
      const named = Object.entries({ ...(from ? { BASE: from } : {}), ...given });
      const flags = named.flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
      const options = ["-q", "--layers=false", "--pull-never", ...flags];
      await run("buildah", [...storage(), "bud", ...options, "-t", image.reference, context]);
      await writeArchive(image.reference, image.archive, base?.archive);
      removeOlder(name);
    }
    return image;
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

function toolchainTag(name: string, base: BaseImage): string {
  const dockerfile = readFileSync(join(toolchainsFolder, `${name}.Dockerfile`));
  return `localhost/devex/toolchain-${name}:${hashOf(dockerfile, base.digest)}`;
}

/** Paths and bytes of a file, or of all files of a folder. */
function contentOf(folder: string): (string | Buffer)[] {
  if (statSync(folder).isFile()) return [folder.slice(root.length), readFileSync(folder)];
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return paths.flatMap((path) => [path.slice(folder.length), readFileSync(path)]);
}
