import { countPrograms, endPrograms } from "./end-programs.ts";

/** The cluster stops a pod's forks at some thousand; below that a save still finds room to start. */
const maximumPrograms = 400;
/** Each thread counts as a fork. */
const maximumThreads = 800;
const lookEveryMs = 500;

/**
 * Ends all programs when they or their threads are so many that the REPL could not be saved any more: a program that
 * starts itself again and again hurts its own REPL only, and not for long. `tell` says so to whoever is there.
 */
export function guardProcesses(tell: (message: string) => void): () => void {
  let isEnding = false;
  const timer = setInterval(() => {
    if (isEnding) return;
    const { programs, threads } = countPrograms();
    if (programs <= maximumPrograms && threads <= maximumThreads) return;
    isEnding = true;
    const what = programs > maximumPrograms ? `${maximumPrograms} programs` : `${maximumThreads} threads`;
    tell(`More than ${what} were running. All programs were ended, so that this REPL can still be saved.`);
    void endPrograms().finally(() => (isEnding = false));
  }, lookEveryMs);
  return () => clearInterval(timer);
}
