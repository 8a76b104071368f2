import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { configVariables, loadConfig } from "../../../config/config.ts";
import { stsOptions, temporalOptions } from "../../../config/settings.ts";
import { loadTemplates } from "../../../config/templates.ts";

const enough = { RUNNER_URL: "http://localhost:20008/", S3_ACCESS_KEY: "a", S3_SECRET_KEY: "b" };

describe("loadConfig", () => {
  it("has a default for everything that can have one", () => {
    expect(loadConfig(enough)).toMatchObject({
      PORT: 8080,
      RUNNER_URL: "http://localhost:20008",
      MAX_REPLS_PER_USER: 10,
      MAX_ACTIVE_PER_USER: 2,
      REPL_NAMESPACE: "devex-repls",
      isProduction: false,
    });
  });
  it("names everything that is wrong at once", () => {
    const load = () => loadConfig({ PORT: "99999", REDIS_URL: "http://x", MAX_ACTIVE_PER_USER: "0" });
    for (const name of ["PORT", "REDIS_URL", "MAX_ACTIVE_PER_USER", "RUNNER_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY"])
      expect(load).toThrow(`${name}: `);
    expect(load).toThrow("RUNNER_URL: is missing");
  });
  it("refuses production without a secret of its own", () => {
    expect(() => loadConfig({ ...enough, NODE_ENV: "production" })).toThrow("SESSION_SECRET");
    expect(loadConfig({ ...enough, NODE_ENV: "production", SESSION_SECRET: "s".repeat(32) }).isProduction).toBe(true);
  });
  it("speaks TLS with Temporal when it is told to or given anything that needs it", () => {
    const optionsOf = (given: Record<string, string>) => temporalOptions(loadConfig({ ...enough, ...given }));
    expect(optionsOf({})).toEqual({ address: "127.0.0.1:7233" });
    expect(optionsOf({ TEMPORAL_TLS: "true" })).toEqual({ address: "127.0.0.1:7233", tls: {} });
    expect(optionsOf({ TEMPORAL_API_KEY: "k" })).toMatchObject({ tls: {}, apiKey: "k" });
    const [cert, key] = ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"];
    expect(optionsOf({ TEMPORAL_TLS_CA: cert, TEMPORAL_TLS_CERT: cert, TEMPORAL_TLS_KEY: key })).toMatchObject({
      tls: {
        serverRootCACertificate: Buffer.from(cert),
        clientCertPair: { crt: Buffer.from(cert), key: Buffer.from(key) },
      },
    });
    expect(() => optionsOf({ TEMPORAL_TLS_CERT: cert })).toThrow("set both or neither");
    expect(() => optionsOf({ TEMPORAL_TLS_CA: "a path" })).toThrow("TEMPORAL_TLS_CA: give a certificate as PEM");
  });
  it("takes all that short-lived keys need, or nothing of it", () => {
    const sts = {
      STS_ROLE_ARN: "arn:aws:iam::1:role/devex",
      STS_ISSUER: "https://api.example/",
      STS_SIGNING_KEY: "-----BEGIN PRIVATE KEY-----",
    };
    expect(stsOptions(loadConfig(enough))).toBeUndefined();
    expect(stsOptions(loadConfig({ ...enough, ...sts }))).toMatchObject({
      endpoint: "https://sts.us-east-1.amazonaws.com",
      issuer: "https://api.example",
      durationSeconds: 43_200,
    });
    for (const name of Object.keys(sts))
      expect(() => loadConfig({ ...enough, ...sts, [name]: "" }), name).toThrow("set all of them or none");
    expect(() => loadConfig({ ...enough, ...sts, STS_ISSUER: "http://api.example" })).toThrow("STS_ISSUER: ");
  });
  it("takes Redis by its address, with TLS, or by Sentinels", () => {
    for (const url of [
      "redis://r",
      "rediss://:p@r:6380/1",
      "redis-sentinel://a:26379,b/main",
      "redis-cluster://a:6379,b",
      "rediss-sentinel://u:p@a/m",
    ])
      expect(loadConfig({ ...enough, REDIS_URL: url }).REDIS_URL).toBe(url);
    for (const url of ["r:6379", "redis://a,b", "redis-sentinel://a", "redis-sentinel://user@a/m", "redis://"])
      expect(() => loadConfig({ ...enough, REDIS_URL: url }), url).toThrow("REDIS_URL: use redis://HOST");
  });
  it("needs no keys of the store where the machine has a role and sessions get keys of their own", () => {
    const place = { RUNNER_URL: "http://localhost:20008" };
    const sts = {
      STS_ROLE_ARN: "arn:aws:iam::1:role/devex",
      STS_ISSUER: "https://api.example",
      STS_SIGNING_KEY: "-----BEGIN PRIVATE KEY-----",
    };
    expect(loadConfig({ ...place, ...sts }).S3_ACCESS_KEY).toBeUndefined();
    expect(() => loadConfig(place)).toThrow("S3_ACCESS_KEY: is missing");
    expect(() => loadConfig({ ...place, ...sts, S3_ACCESS_KEY: "a" })).toThrow("S3_SECRET_KEY: is missing");
  });
  it("listens on as many addresses as it is told", () => {
    expect(loadConfig(enough).HOST).toEqual(["127.0.0.1"]);
    expect(loadConfig({ ...enough, HOST: "127.0.0.1, 10.0.0.1" }).HOST).toEqual(["127.0.0.1", "10.0.0.1"]);
  });
  it("reads any variable from a file", () => {
    const folder = mkdtempSync(join(tmpdir(), "devex-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "key");
    writeFileSync(file, "from-file\n");
    expect(loadConfig({ ...enough, S3_SECRET_KEY_FILE: file }).S3_SECRET_KEY).toBe("from-file");
    expect(() => loadConfig({ ...enough, S3_SECRET_KEY_FILE: "/no/such/file" })).toThrow(
      "S3_SECRET_KEY_FILE: cannot read /no/such/file",
    );
  });
  it("has each of its variables in the README, and nothing there that it does not know", () => {
    const readme = readFileSync("README.md", "utf8");
    const table = /## Configuration\n(.*?)\n## /s.exec(readme)?.[1] ?? "";
    const documented = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(
      ([, cell = ""]) => cell.match(/[A-Z_\d]{3,}/g) ?? [],
    );
    expect(documented.sort()).toEqual([...configVariables].sort());
  });
  it("is frozen", () => expect(Object.isFrozen(loadConfig(enough))).toBe(true));
});

describe("loadTemplates", () => {
  it("finds ours, each with a digest of its content", () => {
    const templates = loadTemplates();
    expect(templates.map(({ name }) => name)).toEqual([
      "c",
      "go",
      "java",
      "node",
      "python",
      "rust",
      "static",
      "typescript",
    ]);
    for (const { name, digest, nodes, ports, toolchain } of templates) {
      expect(digest).toMatch(/^[0-9a-f]{16}$/);
      expect(nodes.find(({ path }) => path === "README.md")?.type, name).toBe("file");
      if (toolchain) expect(existsSync(`runner/toolchains/${toolchain}.Dockerfile`), name).toBe(true);
      expect(nodes.some(({ path }) => path === "template.json")).toBe(false);
      expect(ports.length).toBeGreaterThan(0);
    }
  });
  it("says what is wrong with a definition", () => {
    const folder = mkdtempSync(join(tmpdir(), "devex-templates-"));
    expect(loadTemplates(folder)).toEqual([]);
    writeFileSync(join(folder, "ignored.txt"), "");
    expect(loadTemplates(folder)).toEqual([]);
    const definition = { title: "Go", description: "Go", language: "go", run: "go run .", ports: [8080] };
    mkdirSync(join(folder, "go"));
    const define = (more: object) =>
      writeFileSync(join(folder, "go", "template.json"), JSON.stringify({ ...definition, ...more }));
    define({ toolchain: "go" });
    expect(loadTemplates(folder)).toMatchObject([{ name: "go", toolchain: "go" }]);
    for (const [more, complaint] of [
      [{ toolchain: "go", image: "golang" }, "not both"],
      [{ ports: [80] }, "1024"],
      [{ color: "blue" }, "color"],
    ] as const) {
      define(more);
      expect(() => loadTemplates(folder)).toThrow(complaint);
    }
  });
});
