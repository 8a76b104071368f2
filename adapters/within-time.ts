import { setTimeout as delay } from "node:timers/promises";

/** What `call` resolves to. Where that takes longer nobody waits for it any more, but for `late`, which throws by default. */
export async function withinTime<T, Late = never>(
  milliseconds: number,
  call: () => Promise<T>,
  late: () => Promise<Late> = () => Promise.reject(new Error(`no answer within ${milliseconds / 1000} s`)),
): Promise<T | Late> {
  const ending = new AbortController();
  const tooLate = delay(milliseconds, undefined, { signal: ending.signal, ref: false }).then(late);
  tooLate.catch(() => {});
  try {
    return await Promise.race([call(), tooLate]);
  } finally {
    ending.abort();
  }
}
