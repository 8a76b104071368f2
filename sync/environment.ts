import { readFileSync, writeFileSync } from "node:fs";
import { createS3FileStore } from "../adapters/s3-file-store.ts";
import type { SavePlace } from "../domain/commit-save.ts";
import { createSavePlace } from "../domain/object-store-registry.ts";
import { createApiSavePointer } from "./api-save-pointer.ts";

/** What a sync container is told by its environment, and what it leaves behind. */

/** Exit codes tell the workflow whether another attempt can help. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  superseded: 3,
  neverRestored: 4,
  savedBesidePrograms: 5,
} as const;

/**
 * Kubernetes keeps 12,288 bytes of the last words of all containers of a pod together, in equal parts: some 200 where a
 * day of failures has left fifty. They may be cut, so what must be known is in the exit code.
 */
const terminationLog = "/dev/termination-log";

/** Where the files go, and who keeps the pointer to the newest save: the bucket too, or a database behind the API. */
export function openPlace(folderOfKeys?: string): SavePlace {
  const store = openStore(folderOfKeys);
  if (process.env["SAVE_POINTER"] !== "api") return createSavePlace(store);
  const [apiUrl, token] = [required("DEVEX_API_URL"), required("DEVEX_RUNNER_TOKEN")];
  return { store, pointer: createApiSavePointer({ apiUrl, token }) };
}

export function openStore(folderOfKeys = process.env["S3_KEYS_FOLDER"]) {
  return createS3FileStore({
    endpoint: process.env["S3_ENDPOINT"],
    region: required("S3_REGION"),
    bucket: required("S3_BUCKET"),
    ...storeKeys(folderOfKeys),
  });
}

/** From files, which are renewed while a session lasts, or from the environment. */
function storeKeys(folder: string | undefined) {
  if (!folder)
    return {
      accessKey: required("S3_ACCESS_KEY"),
      secretKey: required("S3_SECRET_KEY"),
      sessionToken: process.env["S3_SESSION_TOKEN"],
    };
  const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");
  return { accessKey: read("accessKey"), secretKey: read("secretKey"), sessionToken: read("sessionToken") };
}

export function sessionOf() {
  return { id: required("SESSION_ID"), replId: required("REPL_ID"), userId: required("USER_ID") };
}

export function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    lastWords({ error: `${name} is not set` });
    process.exit(exitCodes.usage);
  }
  return value;
}

export function lastWords(value: object): void {
  const text = JSON.stringify(value);
  console.log(text);
  try {
    writeFileSync(terminationLog, text);
  } catch {
    // Outside a container there is no such file.
  }
}
