import { createS3FileStore } from "../../adapters/s3-file-store.ts";
import type { S3Options } from "../../adapters/s3-requests.ts";
import { createSavePlace } from "../../domain/object-store-registry.ts";
import type { Session } from "../../domain/repl.ts";
import { saveWorkspace } from "../../sync/save.ts";

/** One save in a process of its own, which a test may kill at any moment. */
export interface SaveProgramInput {
  readonly store: S3Options;
  readonly session: Session;
  readonly root: string;
  readonly knownFolder: string;
}

const { store, session, root, knownFolder } = JSON.parse(process.argv[2] ?? "") as SaveProgramInput;
console.log("begins");
await saveWorkspace(createSavePlace(createS3FileStore(store)), session, {
  root,
  knownFolder,
  pod: "pod",
  kind: "checkpoint",
});
console.log("saved");
process.exit(0);
