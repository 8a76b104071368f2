import { hash, createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  type BigIntStats,
} from "node:fs";
import { partBytes, type FilePart, type FileStore, type StoredObject } from "../domain/ports.ts";
import { giveBuffer, takeBuffer } from "./buffers.ts";
import { cleanPages } from "./native.ts";
import { unlessMissing, type FileNode } from "./walk.ts";

/** One part on its way, and one that is read. */
const buffersInTurn = 2;
/** S3 takes 10,000 of one file; a store on a file system notes them in the 4 KB that a file has for its attributes. */
const maximumParts = 512;
const mebibyte = 2 ** 20;
/** Two parts of a file of this size take a quarter of the memory that the checkpoints have. */
export const maximumFileBytes = maximumParts * 128 * mebibyte;

/** A file opened for saving. Nothing is followed and nothing is waited for: it may have become a link or a pipe. */
export interface OpenFile {
  /** As it is now. */
  stats(): BigIntStats;
  close(): void;
  readonly descriptor: number;
  /** Nobody could read it: it was made readable for a moment, which moved its change time. */
  readonly wasMadeReadable: boolean;
}

/**
 * Undefined when it is no file any more, or when a folder above it has become a link: that could lead out of the
 * workspace, to what only this program may read. A file nobody may read is made readable for a moment.
 */
export function openFile({ absolute, mode }: FileNode): OpenFile | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let wasMadeReadable = false;
  const descriptor = unlessMissing(() => {
    try {
      return openSync(absolute, flags);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ELOOP" || code === "ENXIO") return undefined;
      if (code !== "EACCES") throw error;
      chmodSync(absolute, mode | 0o400);
      wasMadeReadable = true;
      try {
        return openSync(absolute, flags);
      } finally {
        chmodSync(absolute, mode);
      }
    }
  });
  if (descriptor === undefined) return undefined;
  if (!placeOf(descriptor).equals(absolute)) {
    closeSync(descriptor);
    return undefined;
  }
  cleanPages(descriptor);
  return {
    descriptor,
    wasMadeReadable,
    stats: () => fstatSync(descriptor, { bigint: true }),
    close: () => closeSync(descriptor),
  };
}

/** Where an open file really is, with no link in its path. */
function placeOf(descriptor: number): Buffer {
  return readlinkSync(`/proc/self/fd/${descriptor}`, { encoding: "buffer" });
}

/** All bytes of a small file, at most one more than it should have: that shows that it grows. */
export async function withWhole<Result>(
  { descriptor }: OpenFile,
  sizeBytes: number,
  use: (bytes: Buffer, sha256: string) => Promise<Result>,
): Promise<Result> {
  const buffer = takeBuffer(sizeBytes + 1);
  try {
    const bytes = buffer.subarray(0, readFully(descriptor, buffer.subarray(0, sizeBytes + 1), 0));
    return await use(bytes, hash("sha256", bytes));
  } finally {
    giveBuffer(buffer);
  }
}

/** True when a file is empty or holds nothing but zeros. */
export async function holdsNothing(file: OpenFile): Promise<boolean> {
  const zeros = Buffer.alloc(partBytes);
  for await (const bytes of partsOf(file, partBytes, () => {}))
    if (!bytes.equals(zeros.subarray(0, bytes.byteLength))) return false;
  return true;
}

/** Hash and size of a big file, without keeping it. `giveUp` throws when it is to end. */
export async function hashParts(file: OpenFile, giveUp: () => void): Promise<{ sha256: string; sizeBytes: number }> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  for await (const bytes of partsOf(file, partBytes, giveUp)) {
    whole.update(bytes);
    sizeBytes += bytes.byteLength;
  }
  return { sha256: whole.digest("hex"), sizeBytes };
}

/** Stores a big file in parts while it is read, once. `giveUp` throws when it is to end. */
export async function storeParts(
  store: FileStore,
  key: string,
  file: OpenFile,
  giveUp: () => void,
): Promise<StoredObject & { readonly sha256: string; readonly sizeBytes: number }> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  const parts = async function* (): AsyncGenerator<FilePart> {
    for await (const bytes of partsOf(file, partBytesOf(Number(file.stats().size)), giveUp)) {
      whole.update(bytes);
      sizeBytes += bytes.byteLength;
      yield { bytes, sha256: hash("sha256", bytes) };
    }
  };
  const stored = await store.putParts(key, parts());
  return { ...stored, sha256: whole.digest("hex"), sizeBytes };
}

/** How big the parts of a file are: as small as can be, since some of them lie in memory. */
export function partBytesOf(sizeBytes: number): number {
  return Math.max(partBytes, Math.ceil(sizeBytes / maximumParts / mebibyte) * mebibyte);
}

/** Buffers are used in turn, so that a file takes the memory of two parts, however many it has. */
async function* partsOf({ descriptor }: OpenFile, bytesOfPart: number, giveUp: () => void): AsyncGenerator<Buffer> {
  const buffers = Array.from({ length: buffersInTurn }, () => takeBuffer(bytesOfPart));
  try {
    for (let number = 0, position = 0; ; number++) {
      giveUp();
      const buffer = (buffers[number % buffersInTurn] as Buffer).subarray(0, bytesOfPart);
      const length = readFully(descriptor, buffer, position);
      if (length > 0) yield buffer.subarray(0, length);
      if (length < buffer.byteLength) return;
      position += length;
      // Lets the other files' transfers go on.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    for (const buffer of buffers) giveBuffer(buffer);
  }
}

/** Fills a buffer from a place in a file; returns how much there was. */
function readFully(descriptor: number, buffer: Buffer, position: number): number {
  let length = 0;
  while (length < buffer.byteLength) {
    const read = readSync(descriptor, buffer, length, buffer.byteLength - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
}
