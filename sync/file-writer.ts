import { ftruncateSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";

/** Takes a file's bytes in order. Both calls throw what the disk says, of earlier bytes too. */
export interface FileWriter {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when all of them are written. */
  end(): Promise<void>;
}

/** Up to this size handing a file's bytes to another thread takes longer than writing them. More in one hand take more memory, and no less time. */
export const backgroundFromBytes = 256 * 1024;
/** Of a block of the disk: shorter runs of zeros are written, or a file would take more room than it did. */
const holeBytes = 4096;
const zeros = Buffer.alloc(holeBytes);

/** Writes at once. */
export function plainWriter({ fd: file }: FileHandle): FileWriter {
  let position = 0;
  return {
    async write(bytes) {
      writeWhole(file, bytes, position);
      position += bytes.byteLength;
    },
    async end() {},
  };
}

/** Writes at once, and leaves out what is only zeros. */
export function sparseWriter({ fd: file }: FileHandle): FileWriter {
  let position = 0;
  return {
    async write(bytes) {
      let data = 0;
      const writeUntil = (end: number) => {
        if (end > data) writeWhole(file, bytes.subarray(data, end), position + data);
      };
      // Blocks of the file, of which the first and the last may come in two pieces.
      for (let start = 0, end = 0; start < bytes.byteLength; start = end) {
        end = Math.min(bytes.byteLength, start + holeBytes - ((position + start) % holeBytes));
        if (Buffer.compare(bytes.subarray(start, end), zeros.subarray(0, end - start)) !== 0) continue;
        writeUntil(start);
        data = end;
      }
      writeUntil(bytes.byteLength);
      position += bytes.byteLength;
    },
    async end() {
      ftruncateSync(file, position);
    },
  };
}

/** Writes one batch in another thread while the next one comes and is looked at. Closing the file waits for it. */
export function backgroundWriter(file: FileHandle): FileWriter {
  let batch: Uint8Array[] = [];
  let waitingBytes = 0;
  let position = 0;
  let writing = Promise.resolve();

  async function writeBatch(): Promise<void> {
    await writing;
    writing = writeAll(file, batch, position);
    // It is thrown to whoever gives the next batch.
    writing.catch(() => {});
    position += waitingBytes;
    [batch, waitingBytes] = [[], 0];
  }

  return {
    async write(bytes) {
      batch.push(bytes);
      waitingBytes += bytes.byteLength;
      if (waitingBytes >= backgroundFromBytes) await writeBatch();
    },
    async end() {
      if (waitingBytes > 0) await writeBatch();
      await writing;
    },
  };
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[], position: number): Promise<void> {
  const { bytesWritten } = await file.writev(parts, position);
  // A disk that is full takes a part; writing the rest says so.
  let skipped = 0;
  for (const part of parts) {
    const done = Math.min(part.byteLength, Math.max(0, bytesWritten - skipped));
    if (done < part.byteLength) writeWhole(file.fd, part.subarray(done), position + skipped + done);
    skipped += part.byteLength;
  }
}

function writeWhole(file: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.byteLength;)
    written += writeSync(file, bytes, written, bytes.byteLength - written, position + written);
}
