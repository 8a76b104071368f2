import { readFileSync } from "node:fs";
import { createS3FileStore } from "../adapters/s3-file-store.ts";
import type { S3Options } from "../adapters/s3-requests.ts";
import { createSavePlace } from "../domain/object-store-registry.ts";
import type { Session } from "../domain/repl.ts";
import { restoreWorkspace } from "../sync/restore.ts";
import { saveWorkspace } from "../sync/save.ts";

/**
 * One save or one restore in a process of its own, as in a pod, for benches and for tests that kill it: says "begins",
 * and at its end what it took. Requests are counted where they go by fetch, as on Bun.
 */
export interface SyncProgramInput {
  readonly command: "save" | "restore";
  readonly store: S3Options;
  readonly session: Session;
  readonly root: string;
  readonly knownFolder: string;
}

const { command, store, session, root, knownFolder } = JSON.parse(process.argv[2] ?? "") as SyncProgramInput;
let requests = 0;
const plainFetch = globalThis.fetch;
globalThis.fetch = (...request) => {
  requests++;
  return plainFetch(...request);
};
const files = createS3FileStore(store);
console.log("begins");
if (command === "save")
  await saveWorkspace(createSavePlace(files), session, { root, knownFolder, pod: "pod", kind: "checkpoint" });
else await restoreWorkspace(createSavePlace(files), session, { root, knownFolder, pod: "pod" });
// What getrusage says would be our parent's own memory, where that was more: it counts from before the exec.
const [, peakKilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
console.log(JSON.stringify({ requests, peakMegabytes: Math.round(Number(peakKilobytes) / 1024) }));
process.exit(0);
