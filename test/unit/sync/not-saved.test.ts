import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type * as Fs from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import type { SavePlace } from "../../../domain/commit-save.ts";
import { ReplError } from "../../../domain/errors.ts";
import { createObjectStoreRecords, createSavePlace } from "../../../domain/object-store-registry.ts";
import { openBucket } from "../../../domain/open-bucket.ts";
import { isSaved, saveWorkspace } from "../../../sync/save.ts";
import { isTemporaryName, replaceFile } from "../../../runner/replace-file.ts";
import { startS3Server } from "../../fakes/s3-server.ts";
import { newSyncRepl, withoutRoot } from "../../setup/sync-repl.ts";
import { describeTree, removeFolders } from "../../setup/trees.ts";

/** Paths of which reading fails, and with what. */
const broken = vi.hoisted(() => ({ code: "EIO", ends: [] as string[], hits: 0 }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof Fs>();
  const breakIf = (path: string) => {
    if (!broken.ends.some((end) => path.endsWith(end))) return;
    broken.hits++;
    throw Object.assign(new Error(`${broken.code}: made for a test`), { code: broken.code, syscall: "read" });
  };
  return {
    ...fs,
    readSync: (...read: Parameters<typeof fs.readSync>) => {
      if (broken.ends.length > 0) breakIf(fs.readlinkSync(`/proc/self/fd/${read[0]}`));
      return fs.readSync(...read);
    },
    readdirSync: (...read: Parameters<typeof fs.readdirSync>) => {
      breakIf(`${String(read[0])}/`);
      return fs.readdirSync(...read);
    },
  };
});

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped, files of other users: only root can make them");
const settle = () => delay(50);

describe("a tree that cannot be saved whole", () => {
  let repl: Awaited<ReturnType<typeof newSyncRepl>>;
  beforeEach(async () => {
    repl = await newSyncRepl();
    Object.assign(broken, { code: "EIO", ends: [], hits: 0 });
    writeFileSync(join(repl.root, "good"), "good");
  });
  afterEach(() => {
    broken.ends = [];
    removeFolders();
  });
  const put = (path: string, text = path) => {
    mkdirSync(join(repl.root, path, ".."), { recursive: true });
    writeFileSync(join(repl.root, path), text);
  };

  it("is saved without what lies deeper than a path can say", async () => {
    execFileSync(
      "bash",
      ["-c", 'for i in $(seq 450); do mkdir 0123456789; cd 0123456789; done; echo x > "deep file"'],
      {
        cwd: repl.root,
      },
    );
    put("later");
    const report = await repl.save({ kind: "close" });
    expect(report.notSaved).toMatchObject({ count: 1, first: [{ isKept: false }] });
    expect(report.notSaved?.first[0]?.why).toContain("longer than 4,095 bytes");
    const { notSaved } = await repl.newestSave();
    expect(notSaved?.count).toBe(1);
    expect(join(repl.root, notSaved?.first[0]?.path ?? "").length).toBeGreaterThan(4095);
    expect(JSON.stringify(report).length).toBeLessThan(4096);
    const target = await repl.restored();
    expect([existsSync(join(target, "good")), existsSync(join(target, "later"))]).toEqual([true, true]);
    expect(await repl.save({ kind: "close" })).toMatchObject({ generation: 1, notSaved: { count: 1 } });
  });

  it.each(["EIO", "EACCES", "ESTALE", "ELOOP", "EPERM", "EOVERFLOW", "ENXIO", "EINVAL", "EUCLEAN"])(
    "names a file whose reading ends with %s, and keeps what was saved of it",
    async (code) => {
      put("folder/bad", "as it was");
      put("folder/also", "fine");
      await repl.save();
      put("folder/bad", "newer");
      put("folder/new and bad", "never saved");
      put("folder/also", "newer, too");
      Object.assign(broken, { code, ends: ["bad"] });
      expect(await repl.save({ kind: "close" })).toMatchObject({
        generation: 2,
        notSaved: {
          count: 2,
          first: [
            { path: "folder/bad", isKept: true },
            { path: "folder/new and bad", isKept: false },
          ],
        },
      });
      expect(broken.hits).toBeGreaterThan(0);
      broken.ends = [];
      const target = await repl.restored();
      expect(readFileSync(join(target, "folder/bad"), "utf8")).toBe("as it was");
      expect(readFileSync(join(target, "folder/also"), "utf8")).toBe("newer, too");
      expect(await repl.save({ kind: "close" })).not.toHaveProperty("notSaved");
      expect(describeTree(await repl.restored())).toEqual(describeTree(repl.root));
    },
  );

  it("keeps all of a folder that cannot be listed, and hides none of it in the store", async () => {
    for (const path of ["bad/a", "bad/b/c", "bad/\u0001", "badly", "z"]) put(path);
    writeFileSync(Buffer.concat([Buffer.from(`${repl.root}/bad/`), Buffer.from([0xff])]), "not UTF-8");
    linkSync(join(repl.root, "z"), join(repl.root, "bad/z"));
    await repl.save();
    const before = describeTree(repl.root);
    Object.assign(broken, { code: "EIO", ends: ["/bad/"] });
    put("good", "changed");
    const report = await repl.save();
    expect(report).toMatchObject({ deleted: 0, notSaved: { count: 1, first: [{ path: "bad", isKept: true }] } });
    broken.ends = [];
    put("good", "good");
    const kept = describeTree(await repl.restored()).map((line) => line.split(" ")[0]);
    expect(kept).toEqual(before.map((line) => line.split(" ")[0]));
  });

  it("looks again at what it could not read: at the next change, and at the close in any case", async () => {
    put("bad", "new");
    await settle();
    broken.ends = ["bad"];
    expect(await repl.save()).toMatchObject({ notSaved: { count: 1 } });
    expect(isSaved(repl.here)).toBe(true);
    expect(await repl.save()).toMatchObject({ generation: 1, notSaved: { count: 1 } });
    broken.ends = [];
    expect(await repl.save({ kind: "close" })).toMatchObject({ generation: 2, uploaded: 1 });
    expect(readFileSync(join(await repl.restored(), "bad"), "utf8")).toBe("new");
  });

  it("says so in a save of its own, also where the files are those of the save before", async () => {
    put("bad");
    await repl.save();
    put("bad", "newer");
    broken.ends = ["bad"];
    expect(await repl.save()).toMatchObject({ generation: 2, uploaded: 0 });
    expect((await repl.newestSave()).notSaved).toMatchObject({ count: 1, first: [{ path: "bad", isKept: true }] });
    expect(await repl.save()).toMatchObject({ generation: 2 });
  });

  it("is not saved at all where the whole disk fails, or this machine", async () => {
    for (let file = 0; file < 30; file++) put(`files/${file} bad`);
    await repl.save();
    for (let file = 0; file < 30; file++) put(`files/${file} bad`, "newer");
    broken.ends = ["bad"];
    await expect(repl.save()).rejects.toThrow("the disk fails: 30 paths");
    for (const code of ["ENOSPC", "EMFILE", "ENOMEM"]) {
      broken.code = code;
      await expect(repl.save()).rejects.toThrow(code);
    }
    expect((await repl.lastSave())?.generation).toBe(1);
  });

  it("is not saved at all where the workspace itself cannot be listed", async () => {
    await repl.save();
    broken.ends = [`${repl.root}/`];
    await expect(repl.save()).rejects.toThrow("EIO");
  });

  it.each(["conflict", "invalid"] as const)(
    "goes on past a name that the store takes under no key (%s)",
    async (code) => {
      put("refused");
      let tried = 0;
      repl.failWhen((operation, key) => {
        if (operation !== "put" || !(key.endsWith("/refused") || key.includes("/odd/"))) return undefined;
        tried++;
        return new ReplError(code, "the store cannot hold it");
      });
      expect(await repl.save()).toMatchObject({ files: 1, notSaved: { count: 1, first: [{ path: "refused" }] } });
      expect(tried).toBe(2);
      repl.failWhen((_, key) => (key.endsWith("/refused") ? new ReplError("unavailable", "away") : undefined));
      await expect(repl.save({ kind: "close" })).rejects.toThrow("away");
      repl.failWhen(undefined);
      expect(await repl.save({ kind: "close" })).toMatchObject({ files: 2 });
    },
  );

  describe("before whose store something takes no request so big, or no name so long", () => {
    const page = (status: number) => ({ status, headers: { "content-type": "text/html" }, body: "<html>no</html>" });
    const coded = {
      status: 413,
      headers: {},
      body: "<Error><Code>RequestTooLarge</Code><Message>no</Message></Error>",
    };
    let server: Awaited<ReturnType<typeof startS3Server>>;
    let place: SavePlace;
    beforeEach(async () => {
      server = await startS3Server();
      const store = createS3ObjectStore(server.options);
      await openBucket(store, "bucket", { hasSessions: false });
      await createObjectStoreRecords(store).create({ ...repl.record, sessionId: repl.session.id });
      place = createSavePlace(store);
    });
    afterEach(() => server.stop());
    const save = async () => saveWorkspace(place, repl.session, { ...repl.here, kind: "close" });

    it.each([
      ["a whole file", 3_000_000, page(413)],
      ["a part of a file", 6_000_000, page(413)],
      ["a part of a file, in the store's own words", 6_000_000, coded],
    ])("is saved without %s", async (_, sizeBytes, refusal) => {
      let struck = 0;
      server.lieWhen(({ method, body }) => {
        if (method !== "PUT" || body.byteLength < 2_500_000) return undefined;
        struck++;
        return () => refusal;
      });
      writeFileSync(join(repl.root, "too big"), Buffer.alloc(sizeBytes, "x"));
      const { files, notSaved } = await save();
      expect(struck).toBeGreaterThan(0);
      expect({ files, notSaved }).toMatchObject({ files: 1, notSaved: { count: 1, first: [{ path: "too big" }] } });
      expect(notSaved?.first[0]?.why).toContain("413");
      server.lieWhen(() => undefined);
      expect(await save()).toMatchObject({ files: 2 });
    });

    it("is saved with a file whose key is too long", async () => {
      server.lieWhen(({ key }) => (key.endsWith("/long") ? () => page(414) : undefined));
      writeFileSync(join(repl.root, "long"), "x");
      const report = await save();
      expect([report.files, report.notSaved]).toEqual([2, undefined]);
    });

    it("is not saved at all where that is its manifest, and says so", async () => {
      server.lieWhen(({ key }) => (key.includes("/saves/") ? () => page(413) : undefined));
      await expect(save()).rejects.toThrow("413");
    });
  });

  it.skipIf(!isRoot)("names what belongs to another user and is closed to everybody else", async () => {
    for (const path of ["theirs", "folder/theirs"]) put(path);
    chmodSync(join(repl.root, "theirs"), 0o600);
    chmodSync(join(repl.root, "folder"), 0o700);
    for (const path of ["", "good"]) chownSync(join(repl.root, path), 1000, 1000);
    chownSync(repl.knownFolder, 1000, 1000);
    expect(await withoutRoot(() => repl.save())).toMatchObject({
      files: 1,
      notSaved: { count: 2, first: [{ path: "folder" }, { path: "theirs" }] },
    });
  });

  it("ends in time whatever the size of a file that is all holes", async () => {
    put("sparse");
    await repl.save();
    truncateSync(join(repl.root, "sparse"), 2 ** 40);
    const report = await repl.save({ kind: "close" });
    expect(report.notSaved).toMatchObject({ count: 1, first: [{ path: "sparse", isKept: true }] });
    expect(report.notSaved?.first[0]?.why).toContain("1024 GiB");
    rmSync(join(repl.root, "sparse"));
    for (const name of ["a", "b", "c"]) {
      put(name);
      truncateSync(join(repl.root, name), 3 * 2 ** 20);
    }
    const little = await repl.save({ kind: "close", maximumHoleBytes: 7 * 2 ** 20 });
    expect(little.notSaved).toMatchObject({ count: 1, first: [{ path: "c", isKept: false }] });
  });

  it("does not hold what the runner writes beside a file meanwhile", async () => {
    let isUnderWay = false;
    const fill = async (temporary: string) => {
      writeFileSync(temporary, "half");
      expect(isTemporaryName(basename(temporary))).toBe(true);
      expect(await repl.save()).toMatchObject({ files: 1 });
      isUnderWay = true;
    };
    await replaceFile(join(repl.root, "upload"), fill, () => true);
    expect(isUnderWay).toBe(true);
    put(".my.devex-tmp");
    expect(await repl.save()).toMatchObject({ files: 3 });
    // A person's folder of such a name is theirs.
    mkdirSync(join(repl.root, ".0123456789ab.devex-tmp"));
    put(".0123456789ab.devex-tmp/file");
    expect(await repl.save()).toMatchObject({ files: 4 });
  });
});

describe("a file that nobody may read", () => {
  let repl: Awaited<ReturnType<typeof newSyncRepl>>;
  beforeEach(async () => {
    repl = await newSyncRepl();
    for (const [name, mode] of [
      ["none", 0o000],
      ["write", 0o200],
    ] as const) {
      writeFileSync(join(repl.root, name), name);
      chmodSync(join(repl.root, name), mode);
    }
    linkSync(join(repl.root, "none"), join(repl.root, "none too"));
    mkdirSync(join(repl.root, "folder"));
    writeFileSync(join(repl.root, "folder/in it"), "in it");
    chmodSync(join(repl.root, "folder"), 0o000);
    if (!isRoot) return;
    for (const name of ["", "none", "write", "folder", "folder/in it"]) lchownSync(join(repl.root, name), 1000, 1000);
    chownSync(repl.knownFolder, 1000, 1000);
  });
  afterEach(removeFolders);

  it("has its own mode again, and so has a folder, wherever a save breaks", () =>
    withoutRoot(async () => {
      const before = describeModes();
      for (const operation of ["get", "put", "remove"]) {
        writeFileSync(join(repl.root, "passing"), operation);
        await repl.save();
        rmSync(join(repl.root, "passing"));
        writeFileSync(join(repl.root, "write"), `for ${operation}`);
        // Without it the save before is read from the store.
        rmSync(join(repl.knownFolder, "files.json"));
        let broke = 0;
        repl.failWhen((done, key) =>
          done === operation && !key.startsWith(".devex/repls/") && ++broke
            ? new ReplError("unavailable", "away")
            : undefined,
        );
        await expect(repl.save(), operation).rejects.toThrow("away");
        expect([operation, broke > 0, describeModes()]).toEqual([operation, true, before]);
        repl.failWhen(undefined);
      }
    }));
  it("keeps the mode that somebody gives it while it is saved", () =>
    withoutRoot(async () => {
      const folder = join(repl.root, "folder");
      let wasOpened = false;
      repl.failWhen((done) => {
        if (done !== "put") return undefined;
        wasOpened ||= (statSync(folder).mode & 0o777) === 0o700;
        chmodSync(folder, 0o755);
        return undefined;
      });
      await repl.save();
      expect([wasOpened, statSync(folder).mode & 0o777]).toEqual([true, 0o755]);
    }));

  const describeModes = () =>
    ["folder", "none", "write"].map((name) => statSync(join(repl.root, name)).mode.toString(8));

  it("is saved once, and not again until it changes", () =>
    withoutRoot(async () => {
      await settle();
      expect(await repl.save()).toMatchObject({ generation: 1, files: 4, inMotion: [] });
      expect(isSaved(repl.here)).toBe(true);
      for (let round = 0; round < 3; round++) {
        expect(await repl.save({ kind: "close" })).toMatchObject({ generation: 1, uploaded: 0, inMotion: [] });
        expect(isSaved(repl.here)).toBe(true);
      }
      // It is opened again only with the one that did change.
      writeFileSync(join(repl.root, "write"), "changed");
      expect(await repl.save()).toMatchObject({ generation: 2, uploaded: 1, inMotion: [] });
      const content = (await repl.newestSave()).entries.filter((entry) => entry.type === "file");
      expect(content.find(({ path }) => path === "none too")?.sameAs).toBe("none");
      expect(content.find(({ path }) => path === "write")?.sizeBytes).toBe(7);
    }));
});
