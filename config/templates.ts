import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { templateDefinitionFile, type PublishedTemplate } from "../domain/template.ts";
import { ConfigError } from "./config.ts";

/** Those that come with the program. */
export const templatesFolder = fileURLToPath(new URL("../templates", import.meta.url));

/** Of Kubernetes, such as 500m or 5Gi. */
const quantity = z
  .string()
  .regex(/^\d+(\.\d+)?(m|[kMGT]|[KMGT]i)?$/, "must be a Kubernetes quantity, such as 500m or 5Gi");

/** template.json. An unknown field is a mistake, not an extension. */
const definition = z
  .strictObject({
    title: z.string().min(1),
    description: z.string().min(1),
    language: z.string().min(1),
    run: z.string().min(1),
    ports: z.array(z.int().min(1024).max(65_535)),
    environment: z.record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/), z.string()).default({}),
    image: z.string().optional(),
    toolchain: z
      .string()
      .regex(/^[a-z][a-z0-9]*$/, "must be a name of small letters and digits, such as go")
      .optional(),
    writableRoot: z.boolean().optional(),
    resources: z
      .strictObject({
        cpuRequest: quantity.default("100m"),
        cpuLimit: quantity.default("1"),
        memoryRequest: quantity.default("128Mi"),
        memoryLimit: quantity.default("1Gi"),
        diskLimit: z
          .string()
          .regex(/^\d+[KMGT]i$/, "must be a number of Ki, Mi, Gi or Ti, such as 5Gi")
          .default("5Gi"),
      })
      .prefault({}),
  })
  .refine(({ image, toolchain }) => !image || !toolchain, { path: ["toolchain"], error: "give it or image, not both" });

interface TemplateNode {
  readonly path: string;
  readonly absolute: string;
  readonly mode: number;
  readonly type: "file" | "folder";
}

export interface LoadedTemplate extends PublishedTemplate {
  readonly nodes: readonly TemplateNode[];
}

/** Reads all templates from a folder, one sub-folder each. Throws a ConfigError that names what is wrong with one. */
export function loadTemplates(folder: string = templatesFolder): LoadedTemplate[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => loadTemplate(join(folder, entry.name), entry.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function loadTemplate(folder: string, name: string): LoadedTemplate {
  if (!/^[a-z][a-z0-9-]{0,29}$/.test(name))
    throw new ConfigError(`templates/${name}: name the folder with a-z, 0-9 and -`);
  const file = join(folder, templateDefinitionFile);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new ConfigError(`templates/${name}: ${templateDefinitionFile} is missing`);
  }
  const parsed = definition.safeParse(JSON.parse(text));
  if (!parsed.success)
    throw new ConfigError(`templates/${name}/${templateDefinitionFile}:\n${z.prettifyError(parsed.error)}`);
  const nodes = listNodes(folder, "").filter((node) => node.path !== templateDefinitionFile);
  const hash = createHash("sha256");
  for (const node of nodes) {
    const content = node.type === "file" ? readFileSync(node.absolute) : Buffer.alloc(0);
    hash.update(`${node.type}\0${node.path}\0${node.mode}\0${content.byteLength}\0`).update(content);
  }
  return { name, ...parsed.data, digest: hash.digest("hex").slice(0, 16), nodes };
}

function listNodes(folder: string, prefix: string): TemplateNode[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry): TemplateNode[] => {
      const absolute = join(folder, entry.name);
      const path = prefix + entry.name;
      // Git keeps only whether a file may be run; the rest of the mode depends on who checked it out.
      if (entry.isDirectory())
        return [{ path, absolute, mode: 0o755, type: "folder" }, ...listNodes(absolute, `${path}/`)];
      return [{ path, absolute, mode: statSync(absolute).mode & 0o100 ? 0o755 : 0o644, type: "file" }];
    });
}
