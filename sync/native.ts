import { createRequire } from "node:module";
import { closeSync, openSync } from "node:fs";
import type Koffi from "koffi";

/** Calls of the C library that Node lacks or rounds. */

/** koffi without its loader, which looks for the binary that fits: a tenth of a small save. Ours is always glibc's. */
const binary = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
const koffi = createRequire(import.meta.url)(binary) as typeof Koffi;
const libc = koffi.load(null);
const utimensat = libc.func("int utimensat(int folder, const void *path, const int64_t *times, int flags)");
const flock = libc.func("int flock(int file, int operation)");
const syncfs = libc.func("int syncfs(int file)");
const syncFileRange = libc.func("int sync_file_range(int file, int64_t offset, int64_t bytes, unsigned int flags)");

const currentFolder = -100;
const doNotFollow = 0x100;
const exclusively = 2;
const doNotWait = 4;
const waitBefore = 1;
const write = 2;
const nanosecondsPerSecond = 1_000_000_000n;

/** Sets the modification time (and the access time) of a path to the nanosecond, of a link itself. Node cuts to microseconds. */
export function setTime(path: Buffer, mtimeNs: bigint): void {
  const nanoseconds = ((mtimeNs % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  const seconds = (mtimeNs - nanoseconds) / nanosecondsPerSecond;
  const times = new BigInt64Array([seconds, nanoseconds, seconds, nanoseconds]);
  const failed = utimensat(currentFolder, Buffer.concat([path, Buffer.of(0)]), times, doNotFollow) as number;
  if (failed) throw new Error(`cannot set the time of ${path.toString()} (errno ${koffi.errno()})`);
}

/** Takes the lock of an open file unless somebody has it. The kernel frees it when the process ends, however. */
export function tryLock(file: number): boolean {
  return flock(file, exclusively | doNotWait) === 0;
}

/**
 * Begins to write a file's changed pages to the disk. A program that has the file mapped into its memory sets the
 * file's times only when it touches a page that is clean: so what it writes after this is seen in the times again.
 */
export function cleanPages(file: number): void {
  syncFileRange(file, 0, 0, waitBefore | write);
}

/** Waits until everything on a folder's file system is on its disk, so that a crash of the machine cannot take it. */
export function writeToDisk(folder: string): void {
  const file = openSync(folder, "r");
  syncfs(file);
  closeSync(file);
}
