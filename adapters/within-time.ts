import { setTimeout as delay } from "node:timers/promises";

/** What `call` resolves to, unless that takes longer: then it throws, and nobody waits for the call any more. */
export async function withinTime<T>(milliseconds: number, call: () => Promise<T>): Promise<T> {
  const ending = new AbortController();
  const late = delay(milliseconds, undefined, { signal: ending.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${milliseconds / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([call(), late]);
  } finally {
    ending.abort();
  }
}
