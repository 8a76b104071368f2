/** One step of a longer job. `after` names the steps that must be done before it starts. */
export interface Task {
  readonly name: string;
  readonly title: string;
  readonly after?: readonly string[];
  /** What the step takes on 2 cores from nothing; shown only when it is worth knowing. */
  readonly estimateSeconds?: number;
  /** Steps of one lane never run at once; the others run side by side. */
  readonly lane?: string;
  /** Returns what happened in a few words when it is not simply "done" (for example "cached"). */
  readonly run: () => Promise<string | undefined>;
}

const reportEverySeconds = 20;

/**
 * Runs every task as soon as the ones it waits for are done and prints progress with elapsed times.
 * Rejects with the first failure once the tasks already running have ended.
 */
export async function runTasks(tasks: readonly Task[], print: (line: string) => void): Promise<void> {
  const started = performance.now();
  const clock = () => formatSeconds((performance.now() - started) / 1000).padStart(7);
  const running = new Map<string, { task: Task; since: number }>();
  const finished = new Map<string, Promise<void>>();
  const lanes = new Map<string, Promise<void>>();
  let failure: Error | undefined;

  const report = setInterval(() => {
    const lines = [...running.values()].map(({ task, since }) => {
      const elapsed = formatSeconds((performance.now() - since) / 1000);
      return task.estimateSeconds
        ? `${task.title} ${elapsed} of about ${formatSeconds(task.estimateSeconds)}`
        : `${task.title} ${elapsed}`;
    });
    if (lines.length > 0) print(`${clock()}   … ${lines.join(" · ")}`);
  }, reportEverySeconds * 1000);

  async function runOne(task: Task): Promise<void> {
    await Promise.all((task.after ?? []).map(async (name) => finished.get(name)));
    const before = task.lane ? lanes.get(task.lane) : undefined;
    const run = async () => {
      await before;
      if (failure) return;
      const since = performance.now();
      running.set(task.name, { task, since });
      try {
        const note = await task.run();
        const seconds = (performance.now() - since) / 1000;
        print(
          `${clock()}   ✓ ${task.title}${note ? ` (${note})` : ""}${seconds >= 1 ? ` ${formatSeconds(seconds)}` : ""}`,
        );
      } catch (error) {
        failure ??= new Error(`${task.title}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      } finally {
        running.delete(task.name);
      }
    };
    const done = run();
    if (task.lane) lanes.set(task.lane, done);
    await done;
  }

  // Tasks are listed in an order in which each one comes after those it waits for.
  for (const task of tasks) finished.set(task.name, runOne(task));
  await Promise.all(finished.values());
  clearInterval(report);
  if (failure) throw failure;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}m${String(Math.round(seconds % 60)).padStart(2, "0")}s`;
}
