import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { S3Options } from "../adapters/s3-requests.ts";
import { run } from "../tools/stack/commands.ts";
import { cacheFolder } from "../tools/stack/settings.ts";

const version = "v1.76.0";

/** The current rclone, built once from its Go module. */
export async function buildRclone(): Promise<string> {
  const folder = join(cacheFolder, "bench", `rclone-${version}`);
  if (existsSync(join(folder, "rclone"))) return join(folder, "rclone");
  mkdirSync(folder, { recursive: true });
  console.error(`building rclone ${version} for comparison, some minutes…`);
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0" };
  await run("go", ["install", "-ldflags=-s -w", `github.com/rclone/rclone@${version}`], { cwd: "/", env });
  return join(folder, "rclone");
}

/** How rclone finds the bucket. */
export function rcloneEnvironment(store: S3Options): Record<string, string> {
  return {
    RCLONE_CONFIG: "/dev/null",
    RCLONE_CONFIG_BENCH_TYPE: "s3",
    RCLONE_CONFIG_BENCH_PROVIDER: "Other",
    RCLONE_CONFIG_BENCH_ENDPOINT: store.endpoint ?? "",
    RCLONE_CONFIG_BENCH_REGION: store.region,
    RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: store.accessKey ?? "",
    RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: store.secretKey ?? "",
    RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE: "true",
  };
}

/** No question that it can do without: no look before or after an upload, times as the server has them. */
export const rcloneFlags = [
  "--transfers=32",
  "--checkers=32",
  "--fast-list",
  "--s3-no-head",
  "--s3-no-check-bucket",
  "--use-server-modtime",
  "--update",
  "--links",
  "--create-empty-src-dirs",
];
