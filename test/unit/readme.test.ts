import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };

const pages = ["README.md", "CONTRIBUTING.md", ...globSync("docs/*.md")];

describe.each(pages)("%s", (page) => {
  const text = readFileSync(page, "utf8");
  it("names only scripts that there are", () => {
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? "");
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });
  it("links only to files that there are", () => {
    const folder = page.includes("/") ? "docs/" : "";
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => folder + path);
    const programs = [
      ...text.matchAll(/`((?:test|tools|api|worker|workflows|domain|manifests|deploy|runner|sync)\/[\w./-]+\.\w+)`/g),
    ];
    const missing = [...links, ...programs.map(([, path]) => path ?? "")].filter((path) => globSync(path).length === 0);
    expect(missing).toEqual([]);
  });
});
