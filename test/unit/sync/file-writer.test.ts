import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  backgroundFromBytes,
  backgroundWriter,
  plainWriter,
  sparseWriter,
  type FileWriter,
} from "../../../sync/file-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "file-writer-"));
afterAll(() => rmSync(folder, { recursive: true }));

const writers = { plainWriter, sparseWriter, backgroundWriter };

/** Several batches, in pieces as a server sends them. */
const bytes = randomBytes(5 * backgroundFromBytes + 12_345);
const pieces = (size: number) =>
  Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));

async function write(name: string, writerOf: (file: FileHandle) => FileWriter, parts: readonly Uint8Array[]) {
  const path = join(folder, name);
  const file = await open(path, "wx");
  const writer = writerOf(file);
  for (const part of parts) await writer.write(part);
  await writer.end();
  await file.close();
  return path;
}

describe.each(Object.entries(writers))("%s", (name, writerOf) => {
  it.each([1000, 65_536, backgroundFromBytes + 1])("writes every byte in its place, in pieces of %i", async (size) => {
    const path = await write(`${name}-${size}`, writerOf, pieces(size));
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("leaves an empty file for nothing", async () => {
    expect(statSync(await write(`${name}-empty`, writerOf, [])).size).toBe(0);
  });

  it("says that the disk is full", async () => {
    const file = await open("/dev/full", "w");
    const writer = writerOf(file);
    const all = async () => {
      for (const piece of pieces(65_536)) await writer.write(piece);
      await writer.end();
    };
    await expect(all()).rejects.toThrow("ENOSPC");
    await file.close();
  });
});

describe("backgroundWriter", () => {
  it("writes the rest where the system takes only a part at once", async () => {
    const path = await write(
      "in-parts",
      (file) => {
        const writev = file.writev.bind(file);
        // Of each batch the last part is cut short.
        file.writev = ((parts: Buffer[], position: number) =>
          writev(
            parts.map((part, at) => (at === parts.length - 1 ? part.subarray(0, 7) : part)),
            position,
          )) as never;
        return backgroundWriter(file);
      },
      pieces(65_536),
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("lets nobody close the file before its bytes are written", async () => {
    const path = join(folder, "closed-at-once");
    const file = await open(path, "wx");
    await backgroundWriter(file).write(bytes);
    await file.close();
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});

describe("sparseWriter", () => {
  it("takes no room for zeros, also at the end", async () => {
    const zeros = Buffer.alloc(1024 * 1024);
    const path = await write("sparse", sparseWriter, [zeros, Buffer.from("x"), zeros]);
    const { size, blocks } = statSync(path);
    expect(size).toBe(2 * zeros.byteLength + 1);
    expect(blocks * 512).toBeLessThan(2 * 65_536 + 4096);
    expect(readFileSync(path)[zeros.byteLength]).toBe("x".charCodeAt(0));
  });

  it.each([1000, 4096, 65_536, 100_000])("takes no more room than the data does, in pieces of %i", async (size) => {
    const whole = Buffer.alloc(64 * 65_536);
    for (let start = 0; start < whole.byteLength; start += 65_536) whole.fill("x", start, start + 4096);
    const parts = Array.from({ length: Math.ceil(whole.byteLength / size) }, (_, at) =>
      whole.subarray(at * size, (at + 1) * size),
    );
    const path = await write(`holes-${size}`, sparseWriter, parts);
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(statSync(path).blocks * 512).toBeLessThanOrEqual(64 * 4096 + 65_536);
  });
});
