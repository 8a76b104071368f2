import { once } from "node:events";
import { basename, relative } from "node:path";
import { Worker } from "node:worker_threads";
import { subscribe, type Event } from "@parcel/watcher";
import { isTemporaryName } from "./replace-file.ts";

export interface FileChange {
  /** Below the workspace; empty when so much has changed that everything is to be looked at again. */
  readonly path: string;
  readonly kind: "created" | "changed" | "deleted";
}

type OnChange = (change: FileChange) => void;

/** What tools write by the thousand and nobody edits: a watch there would cost more than it tells. */
const unwatched = ["node_modules", ".git", ".venv", "__pycache__", "target"].map((folder) => `**/${folder}/**`);
const maximumChangesAtOnce = 200;
const kinds = { create: "created", update: "changed", delete: "deleted" } as const;

export type FileWatch = ReturnType<typeof createFileWatch>;

/**
 * Tells of changes of the files below a folder, whoever makes them. The watch begins with the first listener and stays:
 * ending one whose folders have gone fails half-way.
 */
export function createFileWatch(root: string) {
  const listeners = new Set<OnChange>();
  let watching: Promise<unknown> | undefined;

  function tell(events: readonly Event[]): void {
    const changes = events
      .filter(({ path }) => !isTemporaryName(basename(path)))
      .map(({ path, type }): FileChange => ({ path: relative(root, path), kind: kinds[type] }));
    const told = changes.length > maximumChangesAtOnce ? [{ path: "", kind: "changed" } as const] : changes;
    for (const change of told) for (const listener of listeners) listener(change);
  }

  async function start(): Promise<void> {
    try {
      await requireWatch();
      await subscribe(root, (error, events) => (error ? report(error) : tell(events)), { ignore: unwatched });
    } catch (error) {
      report(error);
    }
  }

  return {
    /** Resolves when changes from now on are heard, or cannot be watched here; what it resolves to ends that. */
    async listen(listener: OnChange): Promise<() => void> {
      listeners.add(listener);
      watching ??= start();
      await watching;
      return () => void listeners.delete(listener);
    },
  };
}

/**
 * Throws where the kernel gives no more watches: all pods of a node share them, and the library would wait for one
 * without end, and the whole process with it. Asked in a thread, which gives back what it was given.
 */
async function requireWatch(): Promise<void> {
  const asking = new Worker("require('node:fs').watch('/').close()", { eval: true });
  await once(asking, "exit");
}

function report(error: unknown): void {
  console.error(JSON.stringify({ event: "file watch", error: String(error) }));
}
