import { createHash, hash } from "node:crypto";
import { fchmodSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { ReplError } from "../domain/errors.ts";
import type { FileStore } from "../domain/ports.ts";
import type { FileEntry } from "../domain/save.ts";
import { backgroundFromBytes, backgroundWriter, plainWriter, sparseWriter } from "./file-writer.ts";
import { setTime } from "./native.ts";

/** How often a file is asked for, and how long the pause before the second time is; each later one is twice as long. */
export interface Patience {
  readonly tries: number;
  readonly firstPauseMs: number;
}

/** A store that is away for some seconds, or whose connections break, fails no restore. */
export const standardPatience: Patience = { tries: 6, firstPauseMs: 250 };

/**
 * Writes a file of a save to a path where nothing is, from its beginning at each try. Throws `not_found` when its
 * version is missing, `unavailable` when it does not come whole, and what the disk says.
 */
export async function download(
  store: Pick<FileStore, "getStream">,
  entry: FileEntry,
  target: Buffer,
  { tries, firstPauseMs }: Patience,
): Promise<void> {
  // Making files waits for the disk; in the background the others go on.
  const file = await open(target, "wx", 0o600);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        await downloadOnce(store, entry, file);
        break;
      } catch (error) {
        if (attempt === tries || !(error instanceof ReplError && error.code === "unavailable")) throw error;
      }
      await delay(firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random()));
      await file.truncate();
    }
    fchmodSync(file.fd, entry.mode);
    setTime(target, BigInt(entry.mtimeNs));
  } finally {
    await file.close();
  }
}

async function downloadOnce(store: Pick<FileStore, "getStream">, entry: FileEntry, file: FileHandle): Promise<void> {
  const stream = await store.getStream(entry.key, entry.version);
  if (!stream) throw new ReplError("not_found", `version ${entry.version} of ${entry.key} is missing`);
  const writer = writerOf(entry)(file);
  let sizeBytes = 0;
  let sha256: string | undefined;
  const running = createHash("sha256");
  try {
    for await (const chunk of stream) {
      await writer.write(chunk);
      if (chunk.byteLength === entry.sizeBytes) sha256 = hash("sha256", chunk);
      else running.update(chunk);
      sizeBytes += chunk.byteLength;
    }
  } catch (error) {
    // What is still being written must not meet the next try.
    await writer.end().catch(() => {});
    throw error;
  }
  await writer.end();
  if (sizeBytes !== entry.sizeBytes || (sha256 ?? running.digest("hex")) !== entry.sha256)
    throw new ReplError("unavailable", "the stored bytes are not those that were saved");
}

function writerOf({ sparse, sizeBytes }: FileEntry) {
  if (sparse) return sparseWriter;
  return sizeBytes > backgroundFromBytes ? backgroundWriter : plainWriter;
}
