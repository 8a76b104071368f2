import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageRoutes } from "../../../api/routes/page.ts";

describe("the page's files", () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-page-"));
  const routes = pageRoutes({ folder, runnerUrl: "https://repls.example.com:8443", previewDomain: "previews.example" });
  beforeAll(() => {
    mkdirSync(join(folder, "page"));
    writeFileSync(join(folder, "secret.txt"), "not of the page");
    for (const name of ["index.html", "room.html"])
      writeFileSync(join(folder, name), `<!doctype html><title>Devex</title>${name}`);
    writeFileSync(join(folder, "page", "main-ABC.js"), "plain");
    writeFileSync(join(folder, "page", "main-ABC.js.gz"), gzipSync("plain"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(["/", "/dashboard", "/login?error=x", "/room/repl-a", "/room/repl-a/"])(
    "%s is the document",
    async (path) => {
      const response = await routes.request(path);
      expect(response.status).toBe(200);
      const name = path.startsWith("/room/") ? "room.html" : "index.html";
      expect(await response.text()).toBe(`<!doctype html><title>Devex</title>${name}`);
      expect(response.headers.get("cache-control")).toBe("no-cache");
    },
  );

  it("have the browser of somebody who is signed in ask for the list at once, and nobody else's", async () => {
    const linked = async (path: string, headers: Record<string, string>) =>
      (await routes.request(path, { headers })).headers.get("link");
    const cookie = "devex_session=whatever";
    expect(await linked("/", { cookie })).toBe("</api/repl>; rel=preload; as=fetch; crossorigin");
    expect(await linked("/room/repl-a", { cookie })).toBeNull();
    expect(await linked("/login", { cookie })).toBeNull();
    expect(await linked("/", {})).toBeNull();
  });

  it("may load scripts from here alone, and talk with the rooms and their previews", async () => {
    const policy = (await routes.request("/")).headers.get("content-security-policy") ?? "";
    const parts = policy.split("; ");
    expect(parts).toContain("default-src 'none'");
    expect(parts).toContain("script-src 'self'");
    expect(parts).toContain("connect-src 'self' https://repls.example.com:8443 wss://repls.example.com:8443");
    expect(parts).toContain("frame-src https://repls.example.com:8443 https://*.previews.example:8443");
    expect(parts).toContain("frame-ancestors 'none'");
  });

  it("are kept by browsers for ever, and come compressed", async () => {
    const response = await routes.request("/page/main-ABC.js", { headers: { "accept-encoding": "gzip" } });
    expect(response.headers.get("content-type")).toContain("javascript");
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(response.headers.get("cache-control")).toContain("immutable");
  });

  it.each(["/page/none.js", "/page/../secret.txt", "/page/%2e%2e/secret.txt", "/secret.txt"])(
    "are all there is: %s is not",
    async (path) => expect((await routes.request(path)).status).toBe(404),
  );
});
