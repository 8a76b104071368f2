import { request } from "undici";
import { basePathOf, runnerPort } from "../domain/naming.ts";
import { messageOf } from "../domain/errors.ts";

/** The runner gives programs a moment to end by themselves, and then ends them. */
const timeoutMs = 15_000;

/**
 * Asks the runner beside us to end every program of the REPL, so that the files are still while they are saved.
 * It obeys because the closing marker is there, which only the sync containers can make. Returns why it could
 * not be done; the files are saved all the same then, in passes.
 */
export async function stopPrograms(replId: string): Promise<string | undefined> {
  try {
    const answer = await request(`http://127.0.0.1:${runnerPort}${basePathOf(replId)}/stop`, {
      method: "POST",
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const text = await answer.body.text();
    return answer.statusCode === 200 ? undefined : `the runner answered ${answer.statusCode}: ${text.slice(0, 200)}`;
  } catch (error) {
    return `the runner does not answer (${messageOf(error)})`;
  }
}
