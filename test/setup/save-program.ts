import { readFileSync } from "node:fs";
import { createS3FileStore } from "../../adapters/s3-file-store.ts";
import type { S3Options } from "../../adapters/s3-requests.ts";
import { createSavePlace } from "../../domain/object-store-registry.ts";
import type { Session } from "../../domain/repl.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import { saveWorkspace } from "../../sync/save.ts";

/** One save or restore in a process of its own, which a test may kill at any moment. */
export interface SaveProgramInput {
  readonly command: "save" | "restore";
  readonly store: S3Options;
  readonly session: Session;
  readonly root: string;
  readonly knownFolder: string;
}

const { command, store, session, ...folders } = JSON.parse(process.argv[2] ?? "") as SaveProgramInput;
const place = createSavePlace(createS3FileStore(store));
console.log("begins");
if (command === "save") await saveWorkspace(place, session, { ...folders, pod: "pod", kind: "checkpoint" });
else await restoreWorkspace(place, session, { ...folders, pod: "pod" });
console.log(`${command}d`);
const [, peakKilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
console.log(Number(peakKilobytes) / 1024);
process.exit(0);
