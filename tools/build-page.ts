import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

/**
 * Builds the page from web/ into a folder, by standard where the API looks for it: node tools/build-page.ts [FOLDER]
 * Scripts and styles have a digest in their names, and lie there compressed too. The page is one; its two documents
 * differ in what a browser is told to load at once.
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join(root, "web");

export async function buildPage(folder: string = join(root, "dist")): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const { outputFiles, metafile } = await build({
    entryPoints: [join(source, "main.tsx")],
    outdir: join(folder, "page"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    // What a room needs is loaded with the first room.
    splitting: true,
    format: "esm",
    target: "es2023",
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    absWorkingDir: root,
    metafile: true,
    write: false,
  });
  mkdirSync(join(folder, "page"), { recursive: true });
  for (const { path, contents } of outputFiles) {
    writeFileSync(path, contents);
    writeFileSync(`${path}.gz`, gzipSync(contents));
    const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
    writeFileSync(`${path}.br`, brotliCompressSync(contents, { params }));
  }
  const { outputs } = metafile;
  const outputOf = (entry: string): string => {
    const [output] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith(entry)) ?? [];
    if (!output) throw new Error(`${entry}: expected a script of its own`);
    return output;
  };
  const [main, room] = [outputOf("web/main.tsx"), outputOf("web/room/room.tsx")];
  const address = (output = "") => `/${relative(folder, join(root, output))}`;
  const importsOf = (output: string) =>
    outputs[output]?.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path) ?? [];
  const html = readFileSync(join(source, "index.html"), "utf8")
    .replace("/main.css", address(outputs[main]?.cssBundle))
    .replace("/main.js", address(main));
  const write = (name: string, scripts: readonly string[]) => {
    const preloads = [...new Set(scripts)].map((path) => `    <link rel="modulepreload" href="${address(path)}">\n`);
    writeFileSync(join(folder, name), html.replace("  </head>", `${preloads.join("")}  </head>`));
  };
  write("index.html", importsOf(main));
  write("room.html", [...importsOf(main), room, ...importsOf(room)]);
}

if (import.meta.main) await buildPage(process.argv[2]);
