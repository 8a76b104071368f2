import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";

/** Resolves as soon as the file is there. */
export function fileExists(file: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(dirname(file), check);
    function check(): void {
      if (!existsSync(file)) return;
      watcher.close();
      resolve();
    }
    check();
  });
}
