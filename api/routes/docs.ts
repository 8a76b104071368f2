import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Hono } from "hono";
import type { Env } from "../env.ts";

const assets = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const types: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
};

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Devex Core API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <main id="api"><p>This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</p></main>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;
const start = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });\n`;

/** A page to read the OpenAPI document and to try it; all of it is served from here. */
export function docsRoutes() {
  const routes = new Hono<Env>({ strict: false });
  routes.use(async (c, next) => {
    await next();
    // Swagger UI sets styles of its own.
    c.header(
      "Content-Security-Policy",
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    );
  });
  routes.get("/", (c) => c.html(page));
  routes.get("/start.js", (c) => c.body(start, 200, { "content-type": "text/javascript; charset=utf-8" }));
  for (const [name, type] of Object.entries(types)) {
    routes.get(`/${name}`, async (c) =>
      c.body(new Uint8Array(await readFile(join(assets, name))), 200, {
        "content-type": type,
        "cache-control": "public, max-age=86400",
      }),
    );
  }
  return routes;
}
