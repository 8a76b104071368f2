import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createBigFiles } from "../../../sync/big-files.ts";
import { checkpointWorkspace } from "../../../sync/checkpoint.ts";
import { isSaved, saveWorkspace } from "../../../sync/save.ts";
import type { SaveReport } from "../../../domain/save.ts";
import { newSyncRepl } from "../../setup/sync-repl.ts";
import { describeTree, removeFolders } from "../../setup/trees.ts";

const bigBytes = 6_000_000;
const pauses = { pauseMs: 20, patienceMs: 20 };

describe("big files of a checkpoint", () => {
  let repl: Awaited<ReturnType<typeof newSyncRepl>>;
  let uploads: string[];
  /** Is asked at each part of a big file. */
  let atPart: () => Promise<void> | void;
  beforeEach(async () => {
    repl = await newSyncRepl();
    uploads = [];
    atPart = () => {};
    atSave = () => {};
  });
  afterEach(removeFolders);
  let atSave: () => void;
  const at = (name: string) => join(repl.root, name);

  /** The store, but that it says what is uploaded in parts, and lets a test come between. */
  function place() {
    const { putParts } = repl.place.store;
    const store: typeof repl.place.store = {
      ...repl.place.store,
      putParts(key, parts) {
        uploads.push(key.split("/").at(-1) ?? "");
        return putParts(
          key,
          (async function* () {
            for await (const part of parts) {
              yield part;
              await atPart();
            }
          })(),
        );
      },
    };
    return { ...repl.place, store };
  }
  async function checkpoint(options: { mustGiveUp?: () => boolean; pauseMs?: number } = {}): Promise<SaveReport[]> {
    const reports: SaveReport[] = [];
    await checkpointWorkspace(place(), repl.session, {
      ...repl.here,
      bigFiles: createBigFiles(pauses.patienceMs),
      pauseMs: pauses.pauseMs,
      ...options,
      onSave: (report) => {
        reports.push(report);
        atSave();
      },
    });
    return reports;
  }
  const contentOf = async (name: string) => readFileSync(join(await repl.restored(), name));

  it("are uploaded once, however they change meanwhile, and again in the next checkpoint", async () => {
    writeFileSync(at("log"), randomBytes(bigBytes));
    atPart = () => appendFileSync(at("log"), "line\n");
    const [report, ...more] = await checkpoint();
    expect(uploads).toEqual(["log"]);
    expect(more.every(({ uploaded }) => uploaded <= 1)).toBe(true);
    expect(report).toMatchObject({ generation: 1 });
    atPart = () => {};
    expect(isSaved(repl.here)).toBe(false);
    const written = readFileSync(at("log"));
    await checkpoint();
    expect(uploads).toEqual(["log", "log"]);
    expect((await contentOf("log")).equals(written)).toBe(true);
  });

  it("hold up no small file: those are saved beside them, as often as they change", async () => {
    writeFileSync(at("big"), randomBytes(bigBytes));
    writeFileSync(at("small"), "first");
    let [holdUp, goOn] = [undefined as Promise<void> | undefined, () => {}];
    holdUp = new Promise((resolve) => (goOn = resolve));
    atPart = () => holdUp;
    const checkpointing = checkpoint();
    await vi.waitFor(async () => expect((await repl.newestSave()).files).toBe(1), { timeout: 20_000 });
    expect((await repl.newestSave()).inMotion).toEqual(["big"]);
    expect((await contentOf("small")).toString()).toBe("first");
    writeFileSync(at("small"), "second");
    await vi.waitFor(async () => expect((await contentOf("small")).toString()).toBe("second"), { timeout: 20_000 });
    expect(existsSync(join(await repl.restored(), "big"))).toBe(false);
    goOn();
    const reports = await checkpointing;
    expect(reports[0]?.underWay).toEqual({ files: 1, bytes: bigBytes });
    expect(reports.at(-1)).toMatchObject({ uploaded: 1, uploadedBytes: bigBytes });
    expect(reports.at(-1)).not.toHaveProperty("underWay");
    expect(uploads).toEqual(["big"]);
    expect(describeTree(await repl.restored())).toEqual(describeTree(repl.root));
  });

  it("keep what was saved of them until their upload has ended", async () => {
    writeFileSync(at("big"), Buffer.alloc(bigBytes, "a"));
    await checkpoint();
    writeFileSync(at("big"), Buffer.alloc(bigBytes, "b"));
    writeFileSync(at("small"), "small");
    let goOn = () => {};
    const holdUp = new Promise<void>((resolve) => (goOn = resolve));
    atPart = () => holdUp;
    const checkpointing = checkpoint();
    await vi.waitFor(async () => expect((await repl.newestSave()).files).toBe(2), { timeout: 20_000 });
    expect((await contentOf("big"))[0]).toBe("a".charCodeAt(0));
    goOn();
    await checkpointing;
    expect((await contentOf("big"))[0]).toBe("b".charCodeAt(0));
  });

  describe("of which one is under way", () => {
    const [weeksOld, other] = [Buffer.alloc(bigBytes, "w"), Buffer.alloc(bigBytes, "o")];
    /** Where each of the two is in the newest save. */
    const places = async () => {
      const { entries } = await repl.newestSave();
      const files = entries.filter((entry) => entry.type === "file");
      const named = (content: Buffer) => {
        const sha256 = createHash("sha256").update(content).digest("hex");
        return files.filter((file) => file.sha256 === sha256).map(({ path }) => path);
      };
      return { weeksOld: named(weeksOld), other: named(other) };
    };
    /** What the newest save has of them while the upload of `name` is under way, and that it can be opened. */
    async function placesDuring(name: string): Promise<Awaited<ReturnType<typeof places>>> {
      writeFileSync(at("small"), `${Math.random()}`);
      const before = (await repl.lastSave())?.generation ?? 0;
      let goOn = () => {};
      const holdUp = new Promise<void>((resolve) => (goOn = resolve));
      atPart = () => (uploads.at(-1) === name ? holdUp : undefined);
      const checkpointing = checkpoint();
      await vi.waitFor(
        async () => {
          expect(uploads.at(-1)).toBe(name);
          const { generation, inMotion } = await repl.newestSave();
          expect(generation).toBeGreaterThan(before);
          expect(inMotion).toContain(moving);
        },
        { timeout: 20_000 },
      );
      const during = await places();
      const open = await repl.restored();
      for (const path of during.weeksOld) expect(readFileSync(join(open, path)).equals(weeksOld), path).toBe(true);
      goOn();
      await checkpointing;
      expect(describeTree(await repl.restored())).toEqual(describeTree(repl.root));
      return during;
    }
    let moving = "";
    beforeEach(async () => {
      mkdirSync(at("data/deep"), { recursive: true });
      writeFileSync(at("data/deep/model"), weeksOld);
      writeFileSync(at("other"), other);
      await checkpoint();
    });

    it.each<[string, string, () => void]>([
      ["renamed", "data/deep/new-name", () => renameSync(at("data/deep/model"), at("data/deep/new-name"))],
      ["moved with its folder", "data2/deep/model", () => renameSync(at("data"), at("data2"))],
      [
        "moved, and written to since",
        "moved",
        () => {
          renameSync(at("data/deep/model"), at("moved"));
          appendFileSync(at("moved"), "more");
        },
      ],
      [
        "moved away from a name that has another file now",
        "data/deep/model.1",
        () => {
          renameSync(at("data/deep/model"), at("data/deep/model.1"));
          writeFileSync(at("data/deep/model"), "a new one");
        },
      ],
      ["moved over another", "other", () => renameSync(at("data/deep/model"), at("other"))],
    ])("have a file that was %s under its new name", async (_, path, change) => {
      change();
      moving = path;
      expect((await placesDuring(path.split("/").at(-1) ?? "")).weeksOld).toEqual([path]);
    });

    it("have both of two that changed places", async () => {
      renameSync(at("data/deep/model"), at("t"));
      renameSync(at("other"), at("data/deep/model"));
      renameSync(at("t"), at("other"));
      moving = "other";
      expect(await placesDuring("other")).toEqual({ weeksOld: ["other"], other: ["data/deep/model"] });
    });

    it.each<[string, string, () => void]>([
      [
        "packed",
        "a.tar",
        () => {
          writeFileSync(at("a.tar"), Buffer.concat([weeksOld, other]));
          rmSync(at("data"), { recursive: true });
        },
      ],
      [
        "added to another",
        "other",
        () => {
          appendFileSync(at("other"), weeksOld);
          rmSync(at("data/deep/model"));
        },
      ],
    ])("have a file that was %s in its old place until the upload ends", async (_, path, change) => {
      change();
      moving = path;
      expect((await placesDuring(path)).weeksOld).toEqual(["data/deep/model"]);
      expect((await places()).weeksOld).toEqual([]);
    });

    it("have no file that is gone where its place, or one above it, is taken", async () => {
      rmSync(at("data"), { recursive: true });
      writeFileSync(at("data"), "a file now");
      writeFileSync(at("new"), randomBytes(bigBytes));
      moving = "new";
      expect((await placesDuring("new")).weeksOld).toEqual([]);
    });

    it("have one that was gone when its turn came, and is there again", async () => {
      writeFileSync(at("first"), randomBytes(bigBytes));
      writeFileSync(at("second"), randomBytes(bigBytes));
      writeFileSync(at("third"), randomBytes(bigBytes));
      const again = randomBytes(bigBytes);
      let goOn = () => {};
      const holdUp = new Promise<void>((resolve) => (goOn = resolve));
      let wasGone = false;
      atPart = () => {
        if (uploads.at(-1) === "first") rmSync(at("second"), { force: true });
        else if (uploads.at(-1) === "third") {
          wasGone = !uploads.includes("second");
          writeFileSync(at("second"), again);
          return holdUp;
        }
        return undefined;
      };
      let saves = 0;
      atSave = () => {
        if (++saves === 3) goOn();
      };
      await checkpoint();
      expect(wasGone).toBe(true);
      expect(uploads.slice(-3)).toEqual(["first", "third", "second"]);
      expect((await contentOf("second")).equals(again)).toBe(true);
    });
  });

  it("are seen to change after they were read, also with the same size and times", async () => {
    const [first, second] = [randomBytes(bigBytes), randomBytes(bigBytes)];
    writeFileSync(at("big"), first);
    utimesSync(at("big"), 1, 1);
    writeFileSync(at("small"), "small");
    let isFirst = true;
    atPart = async () => {
      if (!isFirst) return;
      isFirst = false;
      // The first save has gone on without it by now, and walks the tree again after this.
      await delay(200);
      writeFileSync(at("big"), second);
      utimesSync(at("big"), 1, 1);
    };
    const reports = await checkpoint();
    expect(isFirst).toBe(false);
    expect([reports[0]?.underWay?.files, reports.at(-1)?.inMotion]).toEqual([1, ["big"]]);
    await checkpoint();
    expect((await contentOf("big")).equals(second)).toBe(true);
    await delay(50);
    await checkpoint();
    expect(isSaved(repl.here)).toBe(true);
  });

  it("make way for a close in the middle of one", async () => {
    let isToEnd = false;
    writeFileSync(at("big"), randomBytes(4 * bigBytes));
    let parts = 0;
    atPart = () => {
      parts++;
      isToEnd = true;
    };
    await expect(checkpoint({ mustGiveUp: () => isToEnd })).rejects.toThrow("make way");
    expect(parts).toBe(1);
    expect(await repl.lastSave()).toBeUndefined();
  });

  it("are not uploaded again that were in no save yet when it made way", async () => {
    let isToEnd = false;
    for (const name of ["done", "slow"]) writeFileSync(at(name), randomBytes(bigBytes));
    const firstSave = new Promise<void>((resolve) => (atSave = resolve));
    atPart = async () => {
      await firstSave;
      if (uploads.at(-1) === "slow") isToEnd = true;
    };
    await expect(checkpoint({ mustGiveUp: () => isToEnd, pauseMs: 20_000 })).rejects.toThrow("make way");
    expect([uploads, (await repl.lastSave())?.files]).toEqual([["done", "slow"], 0]);
    await saveWorkspace(place(), repl.session, { ...repl.here, kind: "close" });
    expect(uploads).toEqual(["done", "slow", "slow"]);
    expect((await repl.lastSave())?.files).toBe(2);
  });

  it("are read once a pass by a close, which waits for them", async () => {
    writeFileSync(at("log"), randomBytes(bigBytes));
    atPart = () => appendFileSync(at("log"), "line\n");
    await repl.save({ kind: "close" });
    truncateSync(at("log"), bigBytes - 1);
    await saveWorkspace(place(), repl.session, { ...repl.here, kind: "close" });
    expect(uploads).toEqual(["log", "log", "log"]);
  });
});
