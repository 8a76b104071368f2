import { readFileSync } from "node:fs";
import { loadYaml } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import { configVariables, loadConfig } from "../../../config/config.ts";

interface Kustomization {
  readonly configMapGenerator: readonly { readonly literals: readonly string[] }[];
}

/** The variables that a kustomization sets. */
function variablesOf(folder: string): Record<string, string> {
  const { configMapGenerator } = loadYaml<Kustomization>(readFileSync(`deploy/${folder}/kustomization.yaml`, "utf8"));
  const literals = configMapGenerator.flatMap((generator) => generator.literals);
  return Object.fromEntries(
    literals.map((literal) => [literal.split("=")[0], literal.slice(literal.indexOf("=") + 1)]),
  );
}

it("the production overlay, with the secrets that docs/deploy.md names, is a configuration for production", () => {
  const variables = { ...variablesOf("base"), ...variablesOf("overlays/production") };
  expect(Object.keys(variables).filter((name) => !configVariables.includes(name))).toEqual([]);
  const guide = readFileSync("docs/deploy.md", "utf8");
  const secrets = {
    SESSION_SECRET: "s".repeat(64),
    REDIS_URL: "rediss://:password@redis.example.com:6380",
    TEMPORAL_API_KEY: "key",
    STS_SIGNING_KEY: "-----BEGIN PRIVATE KEY-----",
  };
  for (const name of Object.keys(secrets)) expect(guide).toMatch(new RegExp(`--from-(?:literal|file)=${name}=`));
  expect(loadConfig({ ...variables, ...secrets })).toMatchObject({
    isProduction: true,
    REPL_NAMESPACE: "devex-repls",
    S3_CREATE_BUCKET: false,
  });
});
