import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Looking at a large tree takes long: it may use a twentieth of one core. */
const pauseMs = 2000;
const pauseFactor = 20;
/** Whoever is over the limit may go on to make room, but not to take much more. */
const growthFactor = 1.25;

export interface DiskGuard {
  /** Each a file system of its own. */
  readonly folders: readonly string[];
  readonly limitBytes: number;
  /** Ends all programs; they can be started again. */
  readonly endPrograms: () => Promise<unknown>;
  /** Says to whoever is there what happened. */
  readonly tell: (message: string) => void;
}

/**
 * Ends all programs when the files take more than they may, and again with each further quarter. The cluster
 * evicts a pod only at twice the limit, which would lose what no checkpoint has saved yet; this loses nothing.
 */
export function guardDisk({ folders, limitBytes, endPrograms, tell }: DiskGuard): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let nextEndAt = limitBytes;

  async function look(): Promise<void> {
    const began = performance.now();
    const bytes = await diskUsage(folders);
    if (bytes <= limitBytes) nextEndAt = limitBytes;
    else if (bytes > nextEndAt) {
      nextEndAt = bytes * growthFactor;
      await endPrograms();
      tell(
        `The files of this REPL take ${inMegabytes(bytes)}, and they may take ${inMegabytes(limitBytes)}. ` +
          "All programs were ended, nothing was removed: remove what you do not need.",
      );
    }
    const pause = Math.max(pauseMs, (performance.now() - began) * pauseFactor);
    if (!isStopped) timer = setTimeout(() => void look(), pause);
  }

  timer = setTimeout(() => void look(), pauseMs);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Blocks in use, as the cluster counts them. 0 when it cannot be found out this time. */
async function diskUsage(folders: readonly string[]): Promise<number> {
  const sums = ["--summarize", "--total", "--one-file-system", "--block-size=1"];
  // It complains of what it may not read or of what vanishes meanwhile, and gives the sum of the rest.
  const { stdout } = await run("nice", ["du", ...sums, ...folders]).catch((error: unknown) => ({
    stdout: (error as { stdout?: string }).stdout ?? "",
  }));
  return Number.parseInt(stdout.trimEnd().split("\n").at(-1) ?? "") || 0;
}

const inMegabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
