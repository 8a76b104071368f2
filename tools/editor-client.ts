import { once } from "node:events";
import WebSocket from "ws";

export interface EditorFrame {
  readonly event: string;
  readonly data: Record<string, unknown> & string;
}

export type EditorClient = Awaited<ReturnType<typeof connectEditor>>;

/** A person's editor, as the demo, the tests and the benches play it: sends frames and waits for answers. */
export async function connectEditor(accessUrl: string, ticket: string, timeoutMs = 15_000) {
  const url = new URL("api/v1/repl/ws", accessUrl.replace(/^http/, "ws"));
  url.searchParams.set("ticket", ticket);
  const socket = new WebSocket(url);
  const frames: EditorFrame[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (text: Buffer) => {
    frames.push(JSON.parse(text.toString("utf8")) as EditorFrame);
    for (const wake of waiting) wake();
  });
  await once(socket, "open");

  /** The first frame, not looked at before, that fits. */
  async function next(fits: (frame: EditorFrame) => boolean, withinMs = timeoutMs): Promise<EditorFrame> {
    const deadline = AbortSignal.timeout(withinMs);
    for (;;) {
      const index = frames.findIndex(fits);
      if (index >= 0) return frames.splice(index, 1)[0] as EditorFrame;
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
        deadline.addEventListener(
          "abort",
          () =>
            reject(new Error(`no fitting frame within ${withinMs} ms; last seen: ${JSON.stringify(frames.slice(-3))}`)),
          { once: true },
        );
      });
    }
  }

  const send = (event: string, data?: unknown) => socket.send(JSON.stringify({ event, data }));
  return {
    send,
    next,
    async ask(event: string, data: unknown, answer = `${event}Response`): Promise<EditorFrame["data"]> {
      send(event, data);
      const frame = await next((candidate) => candidate.event === answer || candidate.event === "error");
      if (frame.event === "error" || frame.data?.["error"])
        throw new Error(`${event}: ${String(frame.data["error"] ?? frame.data["message"])}`);
      return frame.data;
    },
    /** Types a line into a terminal and waits until its output holds the expected text. */
    async type(sessionId: unknown, line: string, expected: string): Promise<string> {
      send("terminalInput", { sessionId, data: `${line}\r` });
      let output = "";
      while (!output.includes(expected))
        output += String((await next((frame) => frame.event === "terminalResponse")).data);
      return output;
    },
    /** Resolves when the other side has closed the connection. */
    async closed(): Promise<void> {
      if (socket.readyState !== WebSocket.CLOSED) await once(socket, "close");
    },
    async close(): Promise<void> {
      if (socket.readyState === WebSocket.CLOSED) return;
      socket.close();
      await once(socket, "close");
    },
  };
}
