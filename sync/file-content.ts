import { hash, createHash } from "node:crypto";
import { chmodSync, closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from "node:fs";
import { partBytes, type FilePart, type FileStore, type StoredObject } from "../domain/ports.ts";
import { cleanPages } from "./native.ts";
import { unlessMissing, type FileNode } from "./walk.ts";

/** A file opened for saving. Nothing is followed and nothing is waited for: it may have become a link or a pipe. */
export interface OpenFile {
  /** As it is now. */
  stats(): BigIntStats;
  close(): void;
  readonly descriptor: number;
}

/** Undefined when it is no file any more. A file nobody may read is made readable for a moment. */
export function openFile({ absolute, mode }: FileNode): OpenFile | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = unlessMissing(() => {
    try {
      return openSync(absolute, flags);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ELOOP" || code === "ENXIO") return undefined;
      if (code !== "EACCES") throw error;
      chmodSync(absolute, mode | 0o400);
      try {
        return openSync(absolute, flags);
      } finally {
        chmodSync(absolute, mode);
      }
    }
  });
  if (descriptor === undefined) return undefined;
  cleanPages(descriptor);
  return {
    descriptor,
    stats: () => fstatSync(descriptor, { bigint: true }),
    close: () => closeSync(descriptor),
  };
}

/** All bytes of a small file, at most `sizeBytes` and one: more than it should have shows that it grows. */
export function readWhole({ descriptor }: OpenFile, sizeBytes: number): { bytes: Buffer; sha256: string } {
  const buffer = Buffer.allocUnsafe(sizeBytes + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, buffer, length, buffer.byteLength - length, length);
    if (read === 0) break;
    length += read;
    if (length === buffer.byteLength) break;
  }
  const bytes = buffer.subarray(0, length);
  return { bytes, sha256: hash("sha256", bytes) };
}

/** Hash and size of a big file, without keeping it. */
export async function hashParts(file: OpenFile): Promise<{ sha256: string; sizeBytes: number }> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  for await (const bytes of partsOf(file)) {
    whole.update(bytes);
    sizeBytes += bytes.byteLength;
  }
  return { sha256: whole.digest("hex"), sizeBytes };
}

/** Stores a big file in parts while it is read, once. */
export async function storeParts(
  store: FileStore,
  key: string,
  file: OpenFile,
): Promise<StoredObject & { readonly sha256: string; readonly sizeBytes: number }> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  const parts = async function* (): AsyncGenerator<FilePart> {
    for await (const bytes of partsOf(file)) {
      whole.update(bytes);
      sizeBytes += bytes.byteLength;
      yield { bytes, sha256: hash("sha256", bytes) };
    }
  };
  const stored = await store.putParts(key, parts());
  return { ...stored, sha256: whole.digest("hex"), sizeBytes };
}

/** Buffers are used in turn, so that a file of any size takes the same memory. */
async function* partsOf({ descriptor }: OpenFile): AsyncGenerator<Buffer> {
  const buffers = Array.from({ length: 4 }, () => Buffer.allocUnsafeSlow(0));
  for (let number = 0, position = 0; ; number++) {
    const turn = number % buffers.length;
    if (buffers[turn]?.byteLength === 0) buffers[turn] = Buffer.allocUnsafeSlow(partBytes);
    const buffer = buffers[turn] as Buffer;
    let length = 0;
    while (length < buffer.byteLength) {
      const read = readSync(descriptor, buffer, length, buffer.byteLength - length, position + length);
      if (read === 0) break;
      length += read;
    }
    if (length > 0) yield buffer.subarray(0, length);
    if (length < buffer.byteLength) return;
    position += length;
    // Lets the other files' transfers go on.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
