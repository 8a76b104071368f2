import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
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
  const path = `${basePathOf(replId)}/stop`;
  const asking = request({ host: "127.0.0.1", port: runnerPort, path, method: "POST", timeout: timeoutMs });
  try {
    asking.on("timeout", () => asking.destroy(new Error(`silent for ${timeoutMs / 1000} s`)));
    const [answer] = (await once(asking.end(), "response")) as [IncomingMessage];
    const words = await text(answer);
    return answer.statusCode === 200 ? undefined : `the runner answered ${answer.statusCode}: ${words.slice(0, 200)}`;
  } catch (error) {
    return `the runner does not answer (${messageOf(error)})`;
  }
}
