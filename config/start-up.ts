import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../domain/errors.ts";
import type { Logger } from "./logger.ts";

const firstPauseMs = 500;
const longestPauseMs = 10_000;

/** Tries until what the program needs at its start answers, with one clear line for each try that failed. */
export async function untilAvailable<T>(logger: Logger, what: string, attempt: () => Promise<T>): Promise<T> {
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
    try {
      return await attempt();
    } catch (error) {
      logger.warn(
        { event: "waiting", what, retryInMs: pause },
        `${what}: ${messageOf(error)}; trying again in ${pause / 1000} s`,
      );
      await delay(pause);
    }
  }
}

/** Runs a program's main: a failure is one line and exit code 1, never a stack trace. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(messageOf(error));
    process.exit(1);
  }
}
