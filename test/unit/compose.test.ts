import { readFileSync } from "node:fs";
import { loadYaml } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { configVariables, loadConfig } from "../../config/config.ts";

interface ComposeFile {
  readonly services: Record<
    string,
    { readonly environment?: Record<string, string>; readonly depends_on?: Record<string, unknown> }
  >;
}

const text = readFileSync("docker-compose.yml", "utf8");
const variable = /\$\{(\w+)(?::-([^}]*))?\}/g;

/** The file as Compose reads it when nobody has set anything. */
const { services } = merged(
  loadYaml(text.replaceAll(variable, (_, _name, usual = "") => usual as string)),
) as ComposeFile;

/** YAML's merge keys, which our parser leaves alone. */
function merged(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(merged);
  const { "<<": base, ...own } = value as Record<string, unknown>;
  const parts = Object.entries(own).map(([key, part]) => [key, merged(part)]);
  return Object.assign({}, merged(base), Object.fromEntries(parts));
}

describe("docker-compose.yml", () => {
  it.each(["api", "worker"])("gives %s a configuration that it takes, and nothing that it does not know", (name) => {
    const environment = services[name]?.environment ?? {};
    expect(Object.keys(environment).filter((each) => !configVariables.includes(each))).toEqual([]);
    expect(loadConfig(environment)).toMatchObject({ RUNNER_URL: "http://localhost:8081", NODE_ENV: "development" });
  });

  it("starts nothing before what it needs", () => {
    for (const name of ["api", "worker"])
      expect(Object.keys(services[name]?.depends_on ?? {})).toEqual(["kubernetes", "s3", "temporal", "redis"]);
    for (const { depends_on } of Object.values(services))
      for (const name of Object.keys(depends_on ?? {})) expect(services).toHaveProperty(name);
  });

  it("reads what .env.example offers, with the same defaults", () => {
    const read = new Map([...text.matchAll(variable)].map(([, name = "", usual = ""]) => [name, usual]));
    const example = readFileSync(".env.example", "utf8");
    const offered = [...example.matchAll(/^#(\w+)=(\S*)/gm)];
    expect(offered.length).toBeGreaterThan(10);
    for (const [, name = "", value] of offered) expect([name, read.get(name)]).toEqual([name, value]);
  });
});
