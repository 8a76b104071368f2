import { lutimesSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { walk } from "../../../sync/walk.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

describe("the stamp of a tree", () => {
  afterEach(removeFolders);

  it("tells trees apart whose names and targets hold line breaks", () => {
    const stampOfLinks = (links: Readonly<Record<string, string>>) => {
      const root = newFolder();
      for (const [path, target] of Object.entries(links)) {
        symlinkSync(target, join(root, path));
        lutimesSync(join(root, path), 1, 1);
      }
      const tree = walk(root);
      tree.close();
      return tree.stamp;
    };
    expect(stampOfLinks({ a: "t\nfoo", next: "x" })).not.toBe(stampOfLinks({ a: "t", "foo\nnext": "x" }));
    expect(stampOfLinks({ a: "t", next: "x" })).toBe(stampOfLinks({ a: "t", next: "x" }));
  });
});
