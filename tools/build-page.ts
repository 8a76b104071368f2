import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

/**
 * Builds the page from web/ into a folder, by standard where the API looks for it: node tools/build-page.ts [FOLDER]
 * Scripts and styles have a digest in their names, and lie there compressed too.
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
  const [script, main] =
    Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint?.endsWith("main.tsx")) ?? [];
  if (!script || !main?.cssBundle) throw new Error("web/main.tsx: expected a script and styles");
  const address = (output: string) => `/${relative(folder, join(root, output))}`;
  const needed = main.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => address(path));
  const preloads = needed.map((path) => `    <link rel="modulepreload" href="${path}">\n`).join("");
  const html = readFileSync(join(source, "index.html"), "utf8")
    .replace("/main.css", address(main.cssBundle))
    .replace("/main.js", address(script))
    .replace("  </head>", `${preloads}  </head>`);
  writeFileSync(join(folder, "index.html"), html);
}

if (import.meta.main) await buildPage(process.argv[2]);
