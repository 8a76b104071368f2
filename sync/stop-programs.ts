import { basePathOf, runnerPort } from "../domain/naming.ts";
import { messageOf } from "../domain/errors.ts";
import { request } from "./request.ts";

/** The runner gives programs a moment to end by themselves, and then ends them. */
const timeoutMs = 15_000;

/**
 * Asks the runner beside us to end every program of the REPL, so that the files are still while they are saved.
 * It obeys because the closing marker is there, which only the sync containers can make. Returns why it could
 * not be done; the files are saved all the same then, in passes.
 */
export async function stopPrograms(replId: string): Promise<string | undefined> {
  const url = `http://127.0.0.1:${runnerPort}${basePathOf(replId)}/stop`;
  try {
    const { status, body } = await request(url, "POST", { timeoutMs });
    return status === 200 ? undefined : `the runner answered ${status}: ${body.slice(0, 200)}`;
  } catch (error) {
    return `the runner does not answer (${messageOf(error)})`;
  }
}
