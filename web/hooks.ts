import { useEffect, useState } from "preact/hooks";
import { reasonOf } from "./words.ts";

/** Milliseconds since the epoch, told anew so often, while it is wanted. */
export function useNow(everyMs: number, isWanted = true): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isWanted) return undefined;
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [isWanted]);
  return now;
}

/** Does things that may fail, and keeps why the last of them did. */
export function useAttempt() {
  const [failure, setFailure] = useState("");
  async function attempt(work: () => unknown): Promise<void> {
    setFailure("");
    try {
      await work();
    } catch (error) {
      setFailure(reasonOf(error));
    }
  }
  return { failure, attempt, dismiss: () => setFailure("") };
}
