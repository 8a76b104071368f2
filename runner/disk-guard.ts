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
  /** Of the folders the one that is saved. */
  readonly savedFolder: string;
  /** How many files and folders it may hold. */
  readonly maximumFiles: number;
  /** Ends all programs; they can be started again. */
  readonly endPrograms: () => Promise<unknown>;
  /** Says to whoever is there what happened. */
  readonly tell: (message: string) => void;
}

/**
 * Ends all programs when the files take more than they may, or are more than can be saved and opened again, and again
 * with each further quarter. The cluster evicts a pod only at twice the limit, which would lose what no checkpoint has
 * saved yet; this loses nothing.
 */
export function guardDisk(guard: DiskGuard): () => void {
  const { folders, limitBytes, savedFolder, maximumFiles, endPrograms, tell } = guard;
  const rules = [
    {
      isOver: createLimit(limitBytes),
      measure: () => diskUsage(["--block-size=1"], folders),
      words: (bytes: number) =>
        `The files of this REPL take ${inMegabytes(bytes)}, and they may take ${inMegabytes(limitBytes)}.`,
    },
    {
      isOver: createLimit(maximumFiles),
      measure: () => diskUsage(["--inodes", "--count-links"], [savedFolder]),
      words: (files: number) =>
        `This REPL has ${inThousands(files)} files and folders, and ${inThousands(maximumFiles)} can be saved and opened again.`,
    },
  ];
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function look(): Promise<void> {
    const began = performance.now();
    for (const { measure, isOver, words } of rules) {
      const used = await measure();
      if (!isOver(used)) continue;
      await endPrograms();
      tell(`${words(used)} All programs were ended, nothing was removed: remove what you do not need.`);
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

/** Tells of each time when what is used has come to the limit, or to a further quarter over the last time. */
function createLimit(limit: number): (used: number) => boolean {
  let next = limit;
  return (used) => {
    if (used <= limit) next = limit;
    if (used <= next) return false;
    next = used * growthFactor;
    return true;
  };
}

/** Blocks in use, or inodes, as the cluster counts them. 0 when it cannot be found out this time. */
async function diskUsage(unit: readonly string[], folders: readonly string[]): Promise<number> {
  const sums = ["--summarize", "--total", "--one-file-system", ...unit];
  // It complains of what it may not read or of what vanishes meanwhile, and gives the sum of the rest.
  const { stdout } = await run("nice", ["du", ...sums, ...folders]).catch((error: unknown) => ({
    stdout: (error as { stdout?: string }).stdout ?? "",
  }));
  return Number.parseInt(stdout.trimEnd().split("\n").at(-1) ?? "") || 0;
}

const inMegabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
const inThousands = (count: number) => count.toLocaleString("en");
