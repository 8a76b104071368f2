import { fileExists } from "./file-exists.ts";
import { startRunner } from "./server.ts";

/** Variables of the runner's own that the user's programs do not need. */
const ownVariables = /^(DEVEX_|NODE_COMPILE_CACHE|KUBERNETES_)/;

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

await fileExists(required("DEVEX_RESTORED_MARKER"));
const runner = await startRunner({
  replId: required("DEVEX_REPL_ID"),
  sessionId: required("DEVEX_SESSION_ID"),
  userId: required("DEVEX_USER_ID"),
  publicKey: required("DEVEX_PUBLIC_KEY"),
  allowedOrigins: required("DEVEX_ALLOWED_ORIGINS").split(","),
  previewDomain: process.env["DEVEX_PREVIEW_DOMAIN"],
  secure: process.env["DEVEX_SECURE"] === "true",
  port: Number(required("DEVEX_PORT")),
  folder: required("DEVEX_WORKSPACE"),
  scratch: process.env["DEVEX_SCRATCH"]?.split(":"),
  diskBytes: Number(process.env["DEVEX_DISK_BYTES"]) || undefined,
  maximumFiles: Number(process.env["DEVEX_MAXIMUM_FILES"]) || undefined,
  closingMarker: required("DEVEX_CLOSING_MARKER"),
  shell: "/bin/bash",
  environment: Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || ownVariables.test(name) ? [] : [[name, value]],
    ),
  ),
});
console.log(JSON.stringify({ event: "runner ready", replId: process.env["DEVEX_REPL_ID"] }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    void runner.stop().finally(() => process.exit(0));
  });
}
