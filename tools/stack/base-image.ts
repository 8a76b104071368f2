import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, runQuietly } from "./commands.ts";
import { archiveDigest, hashOf, imagesFolder, isStored, storage, writeArchive, type BaseImage } from "./image-store.ts";

const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url));
/** All Dockerfiles start from this; where no registry answers, an image of that name is made from Debian's packages. */
const reference = "docker.io/library/node:24-trixie-slim";
const debian = "trixie";
const packages = ["ca-certificates", "git", "python3", "python3-pip", "python3-venv", "procps", "less", "curl", "tini"];
/** Where Debian keeps the authorities that a machine trusts besides the usual ones, such as a company's proxy. */
const ownAuthorities = "/usr/local/share/ca-certificates";

/** Made once: Debian by mmdebstrap, what the machine trusts, and the node binary that npm brought. */
export async function buildBaseImage(): Promise<BaseImage> {
  const parts = authorities().map((file) => readFileSync(file));
  const key = hashOf(debian, packages.join(","), readFileSync(join(nodeModules, "node", "package.json")), ...parts);
  const archive = join(imagesFolder, `base-${key}.tar`);
  if (!existsSync(archive) || !(await isStored(reference))) await makeBaseImage(archive);
  return { reference, archive, digest: await archiveDigest(archive) };
}

async function makeBaseImage(archive: string): Promise<void> {
  const work = join(imagesFolder, `base.${process.pid}`);
  mkdirSync(work, { recursive: true });
  const buildah = (command: string, ...args: string[]) => run("buildah", [...storage(), command, ...args]);
  try {
    const container = (await buildah("from", "scratch")).trim();
    await buildah("add", container, await makeDebian(work), "/");
    await buildah("copy", "--chmod", "755", container, nodeBinary(), "/usr/local/bin/node");
    const npm = await npmFolder();
    if (npm) {
      await buildah("copy", container, npm, "/usr/local/lib/node_modules/npm");
      const link =
        "ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx";
      await buildah("run", container, "--", "sh", "-c", link);
    }
    // Node has a list of authorities of its own; with this it takes the machine's too.
    if (authorities().length > 0) await buildah("config", "--env", "NODE_USE_SYSTEM_CA=1", container);
    await buildah("commit", "--rm", "-q", container, reference);
    await writeArchive(reference, archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The files of a small Debian, as an archive in a folder. */
async function makeDebian(folder: string): Promise<string> {
  const archive = join(folder, "root.tar");
  const slim = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/var/lib/apt/lists/*",
    "/var/cache/apt/*",
  ].map((path) => `--dpkgopt=path-exclude=${path}`);
  const hooks = [
    // The user that images of this name come with, so that the Dockerfiles find it here too.
    'chroot "$1" useradd --uid 1000 --user-group --create-home --shell /bin/bash node',
    ...authorities().map((file) => `copy-in ${file} ${ownAuthorities}`),
    'chroot "$1" update-ca-certificates',
  ].map((hook) => `--customize-hook=${hook}`);
  const include = `--include=${packages.join(",")}`;
  await run("mmdebstrap", ["--variant=minbase", include, ...slim, ...hooks, debian, archive]);
  return archive;
}

/** The files of those that this machine trusts besides the usual ones. */
function authorities(): string[] {
  if (!existsSync(ownAuthorities)) return [];
  return readdirSync(ownAuthorities)
    .filter((file) => file.endsWith(".crt"))
    .map((file) => join(ownAuthorities, file));
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
