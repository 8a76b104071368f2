import { countPrograms, endPrograms } from "./end-programs.ts";

/** The cluster stops a pod's forks at some thousand; below that a save still finds room to start. */
const maximumPrograms = 400;
const lookEveryMs = 500;

/**
 * Ends all programs when there are so many that the REPL could not be saved any more: a program that starts itself
 * again and again hurts its own REPL only, and not for long. `tell` says so to whoever is there.
 */
export function guardProcesses(tell: (message: string) => void): () => void {
  let isEnding = false;
  const timer = setInterval(() => {
    if (isEnding || countPrograms() <= maximumPrograms) return;
    isEnding = true;
    tell(`More than ${maximumPrograms} programs were running. All were ended, so that this REPL can still be saved.`);
    void endPrograms().finally(() => (isEnding = false));
  }, lookEveryMs);
  return () => clearInterval(timer);
}
