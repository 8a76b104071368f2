import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { createRecord, readRecord, readSave, updateRecord } from "../../../domain/registry.ts";
import { restoreWorkspace } from "../../../sync/restore.ts";
import { saveWorkspace } from "../../../sync/save.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord, newSession } from "../../fakes/records.ts";

const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "devex-sync-"));
  folders.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) {
    execFileSync("chmod", ["-R", "u+rwx", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});

function pathsUnder(root: Buffer, relative: Buffer): Buffer[] {
  return readdirSync(Buffer.concat([root, Buffer.from("/"), relative]), {
    encoding: "buffer",
    withFileTypes: true,
  }).flatMap((entry) => {
    const name = entry.name as unknown as Buffer;
    const path = relative.length > 0 ? Buffer.concat([relative, Buffer.from("/"), name]) : name;
    return entry.isDirectory() ? [path, ...pathsUnder(root, path)] : [path];
  });
}

/** Everything that must come back, one line a path. */
function describeTree(root: string): string[] {
  return pathsUnder(Buffer.from(root), Buffer.alloc(0))
    .map((name) => {
      const path = Buffer.concat([Buffer.from(`${root}/`), name]);
      const stats = lstatSync(path, { bigint: true });
      const content = stats.isSymbolicLink()
        ? readlinkSync(path)
        : stats.isFile()
          ? readFileSync(path).toString("base64")
          : "";
      return `${name.toString("hex")} ${stats.mode.toString(8)} ${stats.mtimeNs / 1000n} ${content}`;
    })
    .sort();
}

describe("save and restore", () => {
  let fake: ReturnType<typeof createFakeObjectStore>;
  let record: ReturnType<typeof newRecord>;
  let session: ReturnType<typeof newSession>;
  let root: string;
  beforeEach(async () => {
    fake = createFakeObjectStore();
    record = newRecord();
    session = newSession(record);
    await createRecord(fake.store, { ...record, sessionId: session.id });
    root = newFolder();
  });
  const save = () => saveWorkspace(fake.store, session, root);
  const newestSave = async () => {
    const { lastSave } = (await readRecord(fake.store, record.owner.id, record.id)) ?? {};
    if (!lastSave) throw new Error("nothing was saved");
    return readSave(fake.store, record.id, lastSave);
  };
  const restored = async () => {
    const target = newFolder();
    await restoreWorkspace(fake.store, session, target);
    return target;
  };

  it("brings back every kind of path", async () => {
    mkdirSync(join(root, "empty/deep/er"), { recursive: true });
    for (const name of [
      "plain",
      "with space",
      "new\nline",
      "-dash",
      "ü",
      "u\u0308",
      "x".repeat(255),
      "A",
      "a",
      "back\\slash",
      "base64:no",
      "100%",
    ])
      writeFileSync(join(root, name), name);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe, 0x41])]), "not utf-8");
    writeFileSync(join(root, "zero"), "");
    writeFileSync(join(root, "binary"), randomBytes(2_500_000));
    writeFileSync(join(root, "tool"), "#!/bin/sh\n");
    chmodSync(join(root, "tool"), 0o750);
    symlinkSync("tool", join(root, "link"));
    symlinkSync("nowhere", join(root, "broken"));
    symlinkSync("/etc/hostname", join(root, "absolute"));
    mkdirSync(join(root, "read-only"));
    writeFileSync(join(root, "read-only/file"), "kept");
    utimesSync(join(root, "plain"), 981_173_106.789, 981_173_106.789);
    chmodSync(join(root, "read-only"), 0o555);
    const before = describeTree(root);
    await save();
    expect(describeTree(await restored())).toEqual(before);
  });

  it("brings back trees that nobody thought of", async () => {
    const name = fc
      .oneof(fc.string({ minLength: 1, maxLength: 30, unit: "binary" }), fc.constantFrom("a", "b", ".hidden", " ", "…"))
      .map((text) => text.replace(/[/\0]/g, "_").toWellFormed())
      .filter((text) => text !== "." && text !== ".." && Buffer.byteLength(text) < 200);
    const tree = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.record({ bytes: fc.uint8Array({ maxLength: 64 }), mode: fc.constantFrom(0o644, 0o600, 0o755, 0o400) }),
        fc.record({ link: name }),
        fc.dictionary(name, tie("node"), { maxKeys: 4 }),
      ),
    })).node;
    const write = (path: string, node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      if ("link" in node && typeof node.link === "string") return symlinkSync(node.link, path);
      if ("bytes" in node && node.bytes instanceof Uint8Array)
        return writeFileSync(path, node.bytes, { mode: (node as { mode?: number }).mode ?? 0o644 });
      mkdirSync(path, { recursive: true });
      for (const [child, value] of Object.entries(node)) write(join(path, child), value);
    };
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, tree, { maxKeys: 6 }), async (content) => {
        rmSync(root, { recursive: true, force: true });
        write(root, content);
        const before = describeTree(root);
        await save();
        expect(describeTree(await restored())).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  it("uploads only what changed, and keeps deleted files deleted", async () => {
    for (const name of ["a", "b", "c"]) writeFileSync(join(root, name), name);
    expect(await save()).toMatchObject({ generation: 1, files: 3, uploaded: 3, deleted: 0 });
    expect(await save()).toMatchObject({ generation: 1, uploaded: 0 });
    writeFileSync(join(root, "b"), "changed");
    rmSync(join(root, "c"));
    expect(await save()).toMatchObject({ generation: 2, files: 2, uploaded: 1, deleted: 1 });
    expect(readdirSync(await restored()).sort()).toEqual(["a", "b"]);
    expect(await fake.store.list(objectKey.workspace(record.owner, record.id))).toHaveLength(2);
  });

  it("turns a file into a folder and back", async () => {
    writeFileSync(join(root, "either"), "file");
    await save();
    rmSync(join(root, "either"));
    mkdirSync(join(root, "either"));
    writeFileSync(join(root, "either/inside"), "folder");
    await save();
    expect(readFileSync(join(await restored(), "either/inside"), "utf8")).toBe("folder");
    rmSync(join(root, "either"), { recursive: true });
    writeFileSync(join(root, "either"), "file again");
    await save();
    expect(readFileSync(join(await restored(), "either"), "utf8")).toBe("file again");
  });

  it("names what has no content to keep", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    await save();
    expect((await newestSave()).leftOut).toEqual(["pipe"]);
  });

  it("is all or nothing: a save that breaks anywhere leaves the one before it as the newest", async () => {
    for (const name of ["a", "b", "c"]) writeFileSync(join(root, name), name);
    await save();
    const before = describeTree(await restored());
    for (const name of ["a", "b", "d"]) writeFileSync(join(root, name), `${name} changed`);
    let calls = 0;
    for (let breakAt = 1; breakAt <= 6; breakAt++) {
      calls = 0;
      fake.failWhen((operation) =>
        operation === "put" && ++calls >= breakAt ? new Error("the store broke") : undefined,
      );
      const outcome = await save().then(
        () => "saved",
        () => "broke",
      );
      fake.failWhen(undefined);
      if (outcome === "saved") break;
      expect(describeTree(await restored()), `broken at write ${breakAt}`).toEqual(before);
    }
    await save();
    expect(describeTree(await restored())).toEqual(describeTree(root));
  });

  it("refuses the save of a session that is no longer the writer, and changes nothing", async () => {
    writeFileSync(join(root, "a"), "a");
    await save();
    await updateRecord(fake.store, record.owner.id, record.id, (current) => ({ ...current, sessionId: "another" }));
    writeFileSync(join(root, "a"), "stale");
    await expect(save()).rejects.toMatchObject({ code: "conflict" });
    expect((await readRecord(fake.store, record.owner.id, record.id))?.lastSave?.generation).toBe(1);
    await expect(restored()).rejects.toMatchObject({ code: "conflict" });
  });

  it("lets one of two saves at once win", async () => {
    writeFileSync(join(root, "a"), "a");
    const outcomes = await Promise.allSettled([save(), save()]);
    const won = outcomes.filter(({ status }) => status === "fulfilled");
    expect(won).toHaveLength(1);
    expect((await readRecord(fake.store, record.owner.id, record.id))?.lastSave?.generation).toBe(1);
    expect(readFileSync(join(await restored(), "a"), "utf8")).toBe("a");
  });

  it("refuses to restore less than everything, and names the file", async () => {
    writeFileSync(join(root, "lost"), "a");
    await save();
    const [entry] = (await newestSave()).entries;
    if (entry?.type !== "file") throw new Error("a file was saved");
    await fake.store.purge(entry.key);
    await expect(restored()).rejects.toThrow("lost");
  });
});
