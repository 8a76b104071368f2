import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A watch needs something of the kernel that other pods of the node can have used up; a look needs nothing. */
const lookEveryMs = 10;

/** Resolves as soon as the file is there. */
export async function fileExists(file: string): Promise<void> {
  while (!existsSync(file)) await delay(lookEveryMs);
}
