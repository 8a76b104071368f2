import { existsSync, writeFileSync } from "node:fs";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { messageOf, ReplError } from "../domain/errors.ts";
import { restoredMarker, workspaceFolder } from "../domain/naming.ts";
import { restoreWorkspace } from "./restore.ts";
import { saveWorkspace } from "./save.ts";

/** Exit codes tell the workflow whether another attempt can help. */
const exitCodes = { done: 0, failed: 1, usage: 2, superseded: 3, neverRestored: 4 } as const;

/** Kubernetes shows at most 4096 bytes of it as the container's last words. */
const terminationLog = "/dev/termination-log";

async function main(): Promise<number> {
  const command = process.argv[2];
  // Run once while the image is built: loads all code, so that its compiled form is in the image.
  if (command === "--warm-up") {
    createS3ObjectStore({ region: "none", bucket: "none", accessKey: "none", secretKey: "none" });
    return exitCodes.done;
  }
  if (command !== "restore" && command !== "save") {
    console.error("usage: sync restore|save, with REPL_ID, SESSION_ID, USER_ID and S3_* in the environment");
    return exitCodes.usage;
  }
  const store = createS3ObjectStore({
    endpoint: process.env["S3_ENDPOINT"],
    region: required("S3_REGION"),
    bucket: required("S3_BUCKET"),
    accessKey: required("S3_ACCESS_KEY"),
    secretKey: required("S3_SECRET_KEY"),
    sessionToken: process.env["S3_SESSION_TOKEN"],
  });
  const session = { id: required("SESSION_ID"), replId: required("REPL_ID"), userId: required("USER_ID") };
  const started = performance.now();
  const isRestored = existsSync(restoredMarker);
  try {
    if (command === "save") {
      // What a broken restore left must never become the newest save.
      if (!isRestored) return exitCodes.neverRestored;
      const report = await saveWorkspace(store, session, workspaceFolder);
      lastWords({ ...report, durationMs: Math.round(performance.now() - started) });
      return exitCodes.done;
    }
    // A restarted container finds its work done, and must not do it again over what the user has written since.
    if (!isRestored) {
      const restored = await restoreWorkspace(store, session, workspaceFolder);
      console.log(JSON.stringify({ ...restored, durationMs: Math.round(performance.now() - started) }));
      writeFileSync(restoredMarker, JSON.stringify(restored));
    }
    return idle();
  } catch (error) {
    lastWords({ error: messageOf(error) });
    return error instanceof ReplError && error.code === "conflict" ? exitCodes.superseded : exitCodes.failed;
  }
}

/** Becomes a shell that waits to be told to end: a few hundred kilobytes in place of node's fifty megabytes. */
function idle(): never {
  process.execve?.("/bin/sh", ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"], {});
  throw new Error("this node cannot replace itself");
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    lastWords({ error: `${name} is not set` });
    process.exit(exitCodes.usage);
  }
  return value;
}

function lastWords(value: object): void {
  const text = JSON.stringify(value);
  console.log(text);
  try {
    writeFileSync(terminationLog, text.slice(0, 4000));
  } catch {
    // Outside a container there is no such file.
  }
}

process.exitCode = await main();
// Idle connections to the store would hold the process, and the pod, for seconds.
process.exit();
