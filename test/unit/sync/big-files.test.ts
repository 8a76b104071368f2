import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createBigFiles } from "../../../sync/big-files.ts";
import { checkpointWorkspace } from "../../../sync/checkpoint.ts";
import { isSaved, saveWorkspace } from "../../../sync/save.ts";
import type { SaveReport } from "../../../domain/save.ts";
import { newSyncRepl } from "../../setup/sync-repl.ts";
import { describeTree, newFolder, removeFolders } from "../../setup/trees.ts";

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
  });
  afterEach(removeFolders);
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
  async function checkpoint(options: { giveUpMarker?: string } = {}): Promise<SaveReport[]> {
    const reports: SaveReport[] = [];
    await checkpointWorkspace(place(), repl.session, {
      ...repl.here,
      ...options,
      bigFiles: createBigFiles(pauses.patienceMs),
      pauseMs: pauses.pauseMs,
      onSave: (report) => void reports.push(report),
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
    const giveUpMarker = join(newFolder(), "closing");
    writeFileSync(at("big"), randomBytes(4 * bigBytes));
    let parts = 0;
    atPart = () => {
      parts++;
      writeFileSync(giveUpMarker, "");
    };
    await expect(checkpoint({ giveUpMarker })).rejects.toThrow("make way");
    expect(parts).toBe(1);
    expect(await repl.lastSave()).toBeUndefined();
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
