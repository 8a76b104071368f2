import { describe, expect, it } from "vitest";
import { findRemains, newestOf } from "../../../domain/bucket-remains.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";

describe("what lies in the bucket without a record", () => {
  it("is found below owners, saves and odd files, and nothing that is not named as ours are", async () => {
    const { store } = createFakeObjectStore();
    for (const key of [
      "ada/repl-known/a",
      ".devex/saves/repl-known/1.json",
      "ada/repl-ghost/a",
      ".devex/saves/repl-ghost/1.json",
      ".devex/odd/repl-odd/abc",
      ".devex/saves/notes/1.json",
      ".devex/repls/1/repl-known.json",
      "backups/2026/db.dump",
      "repl-top/file",
    ])
      await store.putText(key, "x");
    const found = await findRemains(store, (replId) => replId === "repl-known");
    expect(found).toEqual([
      { replId: "repl-ghost", prefixes: ["ada/repl-ghost/", ".devex/saves/repl-ghost/"] },
      { replId: "repl-odd", prefixes: [".devex/odd/repl-odd/"] },
    ]);
  });

  it("is as old as what was stored last, hidden or not, and gone when nothing is left", async () => {
    const { store } = createFakeObjectStore();
    const remains = { replId: "repl-ghost", prefixes: ["ada/repl-ghost/", ".devex/odd/repl-ghost/"] };
    expect(await newestOf(store, remains)).toBeUndefined();
    await store.putText("ada/repl-ghost/a", "x");
    await store.remove(["ada/repl-ghost/a"]);
    expect((await newestOf(store, remains))?.getTime()).toBeGreaterThan(Date.now() - 60_000);
  });
});
