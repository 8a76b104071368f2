import { readFileSync } from "node:fs";

/** Names the time since the machine started: after a crash it is another one. Undefined where the kernel does not tell. */
export function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The start in which a workspace was restored, from the marker that says so. Undefined where it does not. */
export function bootOfMarker(file: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { boot?: string }).boot;
  } catch {
    return undefined;
  }
}
