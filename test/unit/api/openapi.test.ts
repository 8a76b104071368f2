import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { startApi } from "../../fakes/api.ts";

/** Every line of contract.md's table, in its order, and those for sync containers where the registry is a database. */
const contract = [
  "GET /auth/github",
  "GET /auth/github/callback",
  "POST /auth/github",
  "POST /auth/dev",
  "POST /auth/logout",
  "GET /auth/me",
  "GET /auth/status",
  "GET /api/templates",
  "GET /api/limits",
  "POST /api/repl/create",
  "GET /api/repl",
  "GET /api/repl/{id}",
  "POST /api/repl/session/{id}",
  "GET /api/repl/session/{id}",
  "DELETE /api/repl/session/{id}",
  "DELETE /api/repl/{id}",
  "GET /api/repl/{id}/saves",
  "GET /api/repl/{id}/saves/{generation}/files",
  "GET /api/repl/{id}/saves/{generation}/files/{path}",
  "GET /api/repl/{id}/saves/{generation}/archive",
  "POST /api/repl/{id}/saves/{generation}/restore",
  "GET /api/repl/{id}/events",
  "GET /api/rescued",
  "POST /api/runner/{id}/heartbeat",
  "DELETE /api/runner/{id}",
  "GET /api/runner/{id}/save",
  "POST /api/runner/{id}/restore",
  "POST /api/runner/{id}/filled",
  "POST /api/runner/{id}/release",
  "PUT /api/runner/{id}/save",
  "GET /ping",
  "GET /livez",
  "GET /readyz",
  "GET /metrics",
];

interface Operation {
  readonly summary?: string;
  readonly responses: Record<string, { readonly description: string }>;
}

async function readDocument() {
  const { app } = await startApi();
  const response = await app.request("/openapi.json");
  return (await response.json()) as { openapi: string; paths: Record<string, Record<string, Operation>> };
}

describe("the OpenAPI document", () => {
  it("has every line of the contract, and no other", async () => {
    const { openapi, paths } = await readDocument();
    expect(openapi).toBe("3.1.0");
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.sort()).toEqual(contract.toSorted());
  });

  it("says in words what each is for, and what each answer means", async () => {
    const { paths } = await readDocument();
    for (const [path, methods] of Object.entries(paths))
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        expect(summary, `${method} ${path}`).toBeTruthy();
        for (const { description } of Object.values(responses)) expect(description).toBeTruthy();
      }
  });

  it("is what the README's table says", async () => {
    const { paths } = await readDocument();
    const rows = contract.map((line) => {
      const [method = "", path = ""] = line.split(" ");
      return `| \`${line}\` | ${paths[path]?.[method.toLowerCase()]?.summary} |`;
    });
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    const [, table] = /<!-- api -->\n([^]*)<!-- \/api -->/.exec(readme) ?? [];
    expect(table?.trim()).toBe(["| method, path | what it does |", "|---|---|", ...rows].join("\n"));
  });

  it("can be read on a page that needs nothing from elsewhere", async () => {
    const { app } = await startApi();
    const page = await app.request("/docs");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    const html = await page.text();
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = ""]) => link);
    expect(links).toHaveLength(4);
    for (const link of links) {
      expect(link).toMatch(/^\//);
      expect((await app.request(link)).status, link).toBe(200);
    }
  });
});
