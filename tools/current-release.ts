import { fileURLToPath } from "node:url";
import { runQuietly } from "./stack/commands.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a release of this checkout is called: its commit, or `development` where there is none. */
export async function currentRelease(): Promise<string> {
  return (await runQuietly("git", ["-C", root, "rev-parse", "--short=12", "HEAD"])).trim() || "development";
}
