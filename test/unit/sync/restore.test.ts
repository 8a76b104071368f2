import {
  chmodSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
  closeSync,
  chownSync,
  lstatSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commitSave } from "../../../domain/commit-save.ts";
import { ReplError } from "../../../domain/errors.ts";
import type { FileStore } from "../../../domain/ports.ts";
import { createObjectStoreRecords, createSavePlace } from "../../../domain/object-store-registry.ts";
import { readSave } from "../../../domain/read-save.ts";
import { restoreWorkspace } from "../../../sync/restore.ts";
import { saveWorkspace } from "../../../sync/save.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newRecord, newSession } from "../../fakes/records.ts";
import { describeTree, newFolder, removeFolders } from "../../setup/trees.ts";

const patience = { tries: 3, firstPauseMs: 1 };
const nobody = 65_534;
/** Not UTF-8. */
const oddName = Buffer.from([0xff, 0xfe, 0x41]);

describe("a restore from a store that breaks", () => {
  let store: FileStore;
  let session: ReturnType<typeof newSession>;
  let root: string;
  let target: string;
  /** How often the bytes of each key were asked for. */
  let asked: Map<string, number>;
  /** What becomes of a body, by the path's end and the number of the time that it is asked for. */
  let fate: (key: string, time: number) => "whole" | "breaks" | "bent" | "short" | "away";

  beforeEach(async () => {
    const record = newRecord();
    session = newSession(record);
    asked = new Map();
    fate = () => "whole";
    const { store: inner } = createFakeObjectStore();
    store = {
      ...inner,
      async getStream(key, version) {
        const time = (asked.get(key) ?? 0) + 1;
        asked.set(key, time);
        const what = fate(key, time);
        if (what === "away") throw new ReplError("unavailable", "the store does not answer");
        const stream = await inner.getStream(key, version);
        return stream && doomed(stream, what);
      },
    };
    await createObjectStoreRecords(store).create({ ...record, sessionId: session.id });
    root = newFolder();
    target = newFolder();
  });
  afterEach(removeFolders);
  const save = () =>
    saveWorkspace(createSavePlace(store), session, { root, knownFolder: newFolder(), pod: "pod", kind: "close" });
  const restore = () =>
    restoreWorkspace(createSavePlace(store), session, {
      root: target,
      knownFolder: newFolder(),
      pod: "pod",
      patience,
    });
  const times = (end: string) => [...asked].find(([key]) => key.endsWith(end))?.[1] ?? 0;

  it.each(["breaks", "bent", "short", "away"] as const)(
    "asks again for a file whose body %s, and for no other",
    async (what) => {
      writeFileSync(join(root, "small"), "a few bytes");
      writeFileSync(join(root, "big"), Buffer.alloc(3_000_000, "many bytes "));
      writeFileSync(join(root, "other"), "other");
      const sparse = openSync(join(root, "sparse"), "w");
      writeSync(sparse, "start", 0);
      ftruncateSync(sparse, 1_000_000);
      closeSync(sparse);
      await save();
      fate = (key, time) => (key.endsWith("other") || time === patience.tries ? "whole" : what);
      await restore();
      expect(describeTree(target)).toEqual(describeTree(root));
      for (const name of ["small", "big", "sparse"]) expect(times(name), name).toBe(patience.tries);
      expect(times("other")).toBe(1);
    },
  );

  it.each(["breaks", "bent", "short", "away"] as const)("names the file whose body always %s", async (what) => {
    writeFileSync(join(root, "never"), "what never comes whole");
    await save();
    fate = () => what;
    await expect(restore()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^never: /) as string,
    });
    expect(times("never")).toBe(patience.tries);
  });

  it("asks once for a version that is missing", async () => {
    writeFileSync(join(root, "gone"), "x");
    await save();
    const getStream: FileStore["getStream"] = async (key) => {
      asked.set(key, (asked.get(key) ?? 0) + 1);
      return undefined;
    };
    store = { ...store, getStream };
    await expect(restore()).rejects.toThrow("gone: version");
    expect(times("gone")).toBe(1);
  });

  it("opens a save whose hard links and order are not those of one tree, and takes no other file for a linked one", async () => {
    const odd = under(join(root, "src"), Buffer.from([0xff]));
    mkdirSync(odd, { recursive: true });
    writeFileSync(Buffer.concat([odd, Buffer.from("/in it")]), "in it");
    for (const name of ["a", "b", "c", "same"]) writeFileSync(join(root, name), name);
    linkSync(join(root, "same"), join(root, "together"));
    await save();
    const { pointer } = createSavePlace(store);
    const writer = { session, pod: "pod" };
    const record = await pointer.read(writer);
    if (!record.lastSave) throw new Error("there is a save");
    const { entries } = await readSave(store, record.id, record.lastSave);
    const strays: Record<string, string> = { b: "a", c: "nowhere" };
    const bent = entries.map((entry) => {
      const sameAs = strays[entry.path];
      return entry.type === "file" && sameAs ? { ...entry, sameAs } : entry;
    });
    const details = { writer, kind: "restored", leftOut: [], inMotion: [] } as const;
    bent.sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(bent[3]?.path).toMatch(/^base64:/);
    await commitSave(createSavePlace(store), record, bent, details);
    await restore();
    expect(describeTree(target)).toEqual(describeTree(root));
    expect(lstatSync(join(target, "together")).ino).toBe(lstatSync(join(target, "same")).ino);
  });

  it("keeps what is whole of an earlier try, and asks for the rest", async () => {
    for (let at = 0; at < 40; at++) writeFileSync(join(root, `file-${at}-`), `${at}`);
    writeFileSync(join(root, "late"), "late");
    await save();
    fate = (key) => (key.endsWith("late") ? "breaks" : "whole");
    await expect(restore()).rejects.toThrow("late");
    fate = () => "whole";
    asked.clear();
    await restore();
    expect(describeTree(target)).toEqual(describeTree(root));
    expect([...asked.keys()].filter((key) => key.includes("file-"))).toEqual([]);
    expect(times("late")).toBe(1);
  });

  it("makes a save's tree of whatever lies there, also of what only its owner may touch", async () => {
    mkdirSync(join(root, "read-only/deep"), { recursive: true });
    writeFileSync(join(root, "read-only/deep/file"), "kept");
    writeFileSync(join(root, "same"), "right");
    writeFileSync(join(root, "linked"), "one file");
    linkSync(join(root, "linked"), join(root, "another name"));
    for (const name of ["was a folder", "was a link", "alike"]) writeFileSync(join(root, name), "right");
    mkdirSync(join(root, "was a file"));
    symlinkSync("same", join(root, "link"));
    writeFileSync(under(root, oddName), "not UTF-8");
    chmodSync(join(root, "read-only"), 0o555);
    chmodSync(join(root, "read-only/deep"), 0o555);
    await save();
    const before = describeTree(root);
    const { mtime } = lstatSync(join(root, "linked"));

    await asNobody(target, async () => {
      mkdirSync(join(target, "left/over"), { recursive: true });
      writeFileSync(under(join(target, "left/over"), oddName), "left over");
      writeFileSync(under(target, Buffer.from([0xff, 0x42])), "left over");
      for (const folder of ["left/over", "left"]) chmodSync(join(target, folder), 0o111);
      mkdirSync(join(target, "read-only"));
      writeFileSync(join(target, "read-only/old"), "old");
      chmodSync(join(target, "read-only"), 0o555);
      mkdirSync(join(target, "was a folder/x"), { recursive: true });
      writeFileSync(join(target, "was a file"), "x");
      symlinkSync(root, join(target, "was a link"));
      symlinkSync("elsewhere", join(target, "link"));
      // Two names of one file where the save has two files.
      writeFileSync(join(target, "same"), "right");
      linkSync(join(target, "same"), join(target, "alike"));
      // All that shows is as it was, but for the bytes.
      writeFileSync(join(target, "linked"), "bad file");
      utimesSync(join(target, "linked"), mtime, mtime);
      await restore();
      expect(describeTree(target)).toEqual(before);
      expect(lstatSync(join(target, "alike")).ino).not.toBe(lstatSync(join(target, "same")).ino);
      asked.clear();
      await restore();
      expect(describeTree(target)).toEqual(before);
      // Of what has two names one is made from the other, and both anew.
      expect([...asked.keys()].map((key) => key.split("/").at(-1))).toEqual(["another name"]);
    });
  });
});

function under(folder: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), name]);
}

/** Root may do everything; a pod's containers are not root. */
async function asNobody(folder: string, work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return work();
  chownSync(folder, nobody, nobody);
  process.seteuid?.(nobody);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

async function* doomed(stream: AsyncIterable<Uint8Array>, fate: string): AsyncIterable<Uint8Array> {
  for await (const chunk of stream) {
    const middle = Math.floor(chunk.byteLength / 2);
    if (fate === "bent") yield Buffer.alloc(chunk.byteLength, "!");
    else if (fate === "whole") yield chunk;
    else {
      // In pieces, as they come from a socket.
      for (let start = 0; start < middle; start += 65_536)
        yield chunk.subarray(start, Math.min(middle, start + 65_536));
      if (fate === "breaks") throw new ReplError("unavailable", "the answer broke off");
    }
  }
}
