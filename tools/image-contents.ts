import { cpSync, copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { buildPage } from "./build-page.ts";
import { bunBinary } from "./bun.ts";
import { run } from "./stack/commands.ts";

/**
 * What our images hold beside their base. The Dockerfiles call this program, and the local stack its functions:
 * node tools/image-contents.ts runner|sync|server FOLDER
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const nodeModules = join(root, "node_modules");
const shipped = ["activities", "adapters", "api", "config", "domain", "manifests", "templates", "worker"];
const makers = ["build-page.ts", "image-contents.ts"].map((file) => join("tools", file));
/** What the server's content follows from. */
export const serverSources = [...shipped, "web", "workflows", ...makers];
/** Of the libraries, what no program of ours reads. */
const unread = ["**/*.map", "**/*.d.ts", "**/*.d.mts", "**/*.d.cts", "**/*.md", "@swc", "@temporalio/*/src"];

const programs = { runner: fillRunner, sync: fillSync, server: fillServer };

const tracingOfWorkflows = "@temporalio/interceptors-opentelemetry/lib/workflow-interceptors.js";

export type Program = keyof typeof programs;

/** Fills a new folder with a program and what it needs to run. */
export async function fillProgram(program: Program, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await programs[program](folder);
}

/** The server inside the pod, as one file; the libraries for terminals and for watching files keep their native parts. */
async function fillRunner(folder: string): Promise<void> {
  await bundle(join(root, "runner", "main.ts"), join(folder, "runner.mjs"), ["@lydell/node-pty"], [withoutTls]);
  const watcher = join("@parcel", `watcher-linux-${process.arch}-glibc`);
  const terminals = ["node-pty", `node-pty-linux-${process.arch}`].map((part) => join("@lydell", part));
  copyModules([watcher, ...terminals], folder);
  copyFileSync(join(root, "runner", "profile.sh"), join(folder, "profile.sh"));
}

/** The program of the restore, checkpoint and save containers, and Bun, which runs it; its C library calls keep their native part. */
async function fillSync(folder: string): Promise<void> {
  await bundle(join(root, "sync", "main.ts"), join(folder, "sync.mjs"));
  copyFileSync(bunBinary(), join(folder, "bun"));
  copyModules([join("@koromix", `koffi-linux-${process.arch}`)], folder);
  copyFileSync(join(root, "sync", "checkpoints.sh"), join(folder, "checkpoints.sh"));
}

/** API and worker with their libraries, and the workflows as the one file that Temporal runs. */
async function fillServer(folder: string): Promise<void> {
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(root, file), join(folder, file));
  await run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: "production" },
  });
  const modules = join(folder, "node_modules");
  const platforms = globSync("@temporalio/core-bridge/releases/*", { cwd: modules });
  const foreign = platforms.filter((path) => !path.endsWith(nativePlatform()));
  for (const path of [...foreign, ...globSync(unread, { cwd: modules })])
    rmSync(join(modules, path), { recursive: true, force: true });
  await buildPage(join(folder, "dist"));
  for (const name of shipped) cpSync(join(root, name), join(folder, name), { recursive: true });
  writeFileSync(join(folder, "workflows.js"), await workflowBundle());
}

/** The same for the same sources, wherever it is made: a worker replays with it what another one began. */
export async function workflowBundle(): Promise<string> {
  const { bundleWorkflowCode, DefaultLogger } = await import("@temporalio/worker");
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, "workflows", "index.ts"),
    // A worker that traces needs them inside, and only the bundle can bring them.
    workflowInterceptorModules: [join(nodeModules, tracingOfWorkflows)],
    logger: new DefaultLogger("ERROR"),
  });
  return code;
}

function nativePlatform(): string {
  return `${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu`;
}

function copyModules(names: readonly string[], folder: string): void {
  for (const name of names) {
    const to = join(folder, "node_modules", name);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(join(nodeModules, name), to, { recursive: true });
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

/** One file of a program and its libraries, but for those named `external`, which keep files of their own. */
export async function bundle(
  entry: string,
  outfile: string,
  external: string[] = [],
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

if (import.meta.main) {
  const [program = "", folder] = process.argv.slice(2);
  if (!folder || !(program in programs)) {
    console.error("Usage: node tools/image-contents.ts runner|sync|server FOLDER");
    process.exit(2);
  }
  await fillProgram(program as Program, folder);
}
