import { randomUUID } from "node:crypto";
import { inject, TestRunner } from "vitest";
import { connectEditor, type EditorClient } from "../../tools/editor-client.ts";
import { createInspector } from "../../tools/inspect.ts";
import { signIn, type Person } from "../../tools/api-client.ts";
import "../setup/stack-variables.ts";

/** What the end-to-end tests share: a person of their own each, and eyes on the cluster and the bucket. */

export const apiUrl = () => inject("apiUrl");
export const newPerson = (): Promise<Person> => signIn(apiUrl(), `t-${randomUUID().slice(0, 8)}`);
export const inspector = () => createInspector(inject("stack"));

export async function openEditor(api: Person, replId: string): Promise<EditorClient & { url: string; ticket: string }> {
  const { url, ticket } = await api.open(replId);
  return { ...(await connectEditor(url, ticket)), url, ticket };
}

/** Runs one command in a terminal of its own and returns what it printed. */
export async function shell(editor: EditorClient, command: string): Promise<string> {
  // Tagged, so that the last words of a terminal that was just closed are not taken for this one's.
  const { sessionId } = await editor.ask("requestTerminal", { tagged: true }, "terminalConnected");
  const mark = `done-${randomUUID().slice(0, 6)}`;
  // The mark is put together by the shell, so that the echo of the command is not taken for its end.
  const line = `stty -echo; PS1=; echo be''gin; ${command}; echo ${mark.slice(0, 5)}''${mark.slice(5)}`;
  editor.send("terminalInput", { sessionId, data: `${line}\r` });
  let output = "";
  while (!output.includes(mark)) {
    const { data } = await editor.next(
      (frame) => frame.event === "terminalResponse" && frame.data["sessionId"] === sessionId,
    );
    output += String(data["data"]);
  }
  editor.send("closeTerminal", { sessionId });
  const body = output.slice(output.lastIndexOf("begin\r\n") + "begin\r\n".length, output.lastIndexOf(mark));
  return body.replaceAll("\r\n", "\n").trim();
}

/** A pod that is refused hears so at once; one whose packets are dropped would wait for minutes. */
const waitSeconds = 3;

/** Whether a TCP connection comes about from where commands are run. */
export async function reachesBy(
  run: (command: string) => Promise<string>,
  host: string,
  port: number | string,
): Promise<boolean> {
  const answer = await run(
    `timeout ${waitSeconds} bash -c 'exec 3<>/dev/tcp/${host}/${port}' 2>/dev/null && echo yes || echo no`,
  );
  // Anything else would pass for a wall.
  if (answer !== "yes" && answer !== "no") throw new Error(`no answer about ${host}:${port}: ${answer}`);
  return answer === "yes";
}

declare module "vitest" {
  interface TaskMeta {
    recoverySeconds?: number;
  }
}

/** Begins when a fault is over, or when it strikes and nobody mends it; the returned function is called when all is well again. For the table in docs/reliability.md. */
export function recovery(): () => void {
  const since = performance.now();
  const test = TestRunner.getCurrentTest();
  return () => {
    if (test) test.meta.recoverySeconds = (performance.now() - since) / 1000;
  };
}
