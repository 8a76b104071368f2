import { existsSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import {
  closingMarker,
  handedOverMarker,
  reopeningMarker,
  restoredMarker,
  syncFolder,
  workspaceFolder,
} from "../domain/naming.ts";
import { bootOfMarker } from "./boot.ts";
import { tryLock } from "./native.ts";

/** What the sync containers of one pod have in common: its workspace, its lock, and the markers by which they tell each other. */

export const here = {
  root: workspaceFolder,
  knownFolder: syncFolder,
  pod: hostname(),
  restoredInBoot: bootOfMarker(restoredMarker) ?? bootOfMarker(handedOverMarker),
  maximumHoleBytes: Number(process.env["DEVEX_MAXIMUM_HOLE_BYTES"]) || undefined,
};

/** With a handed over workspace, too, nothing is missing. */
export const isWhole = () => existsSync(restoredMarker) || existsSync(handedOverMarker);

let lockFile: number | undefined;

/** One save at a time in a pod: held until this process ends, however it ends. May be repeated. */
export function lock(): boolean {
  mkdirSync(syncFolder, { recursive: true });
  lockFile ??= openSync(`${syncFolder}/lock`, "w");
  return tryLock(lockFile);
}

const readyFor = (marker: string) => `${marker}.ready`;

/** Makes files that markers will be, for when the disk has no room, or no inode, left. */
export function prepareMarkers(): void {
  for (const marker of [closingMarker, reopeningMarker]) if (!existsSync(marker)) writeFileSync(readyFor(marker), "");
}

export function setMarker(marker: string): void {
  if (existsSync(marker)) return;
  if (existsSync(readyFor(marker))) renameSync(readyFor(marker), marker);
  else writeFileSync(marker, "");
}

export function clearMarker(marker: string): void {
  if (existsSync(marker)) renameSync(marker, readyFor(marker));
}
