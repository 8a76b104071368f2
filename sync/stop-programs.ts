import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { basePathOf, runnerPort } from "../domain/naming.ts";
import { messageOf } from "../domain/errors.ts";
import { request } from "./request.ts";

/** The runner gives programs a moment to end by themselves, and then ends them. */
const timeoutMs = 15_000;
const lookMs = 100;
/** Between the end of its listener and the end of its container. */
const containerEndMs = 500;

/**
 * Asks the runner beside us to end every program of the REPL, so that the files are still while they are saved.
 * It obeys because the closing marker is there, which only the sync containers can make. Returns why it could
 * not be done. Where nobody listens the runner's container has ended, and all programs with it.
 */
export async function stopPrograms(replId: string, port = runnerPort): Promise<string | undefined> {
  const url = `http://127.0.0.1:${port}${basePathOf(replId)}/stop`;
  try {
    const { status, body } = await request(url, "POST", { timeoutMs });
    return status === 200 ? undefined : `the runner answered ${status}: ${body.slice(0, 200)}`;
  } catch (error) {
    if (await runnerHasEnded(0, port)) return undefined;
    return `the runner does not answer (${messageOf(error)})`;
  }
}

/** Whether nobody listens at the runner's port any more; waits for that at most so long. */
export async function runnerHasEnded(patienceMs: number, port = runnerPort): Promise<boolean> {
  const giveUpAt = Date.now() + patienceMs;
  while (await isListening(port)) {
    if (Date.now() >= giveUpAt) return false;
    await delay(lookMs);
  }
  await delay(containerEndMs);
  return !(await isListening(port));
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code !== "ECONNREFUSED"));
  });
}
