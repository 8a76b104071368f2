import type { WebSocket } from "ws";
import { numberField, optionalField, parseFrame, textField, type Send } from "./protocol.ts";
import type { Listener, Terminals } from "./terminals.ts";
import type { Workspace } from "./workspace.ts";

/** A terminal's output waits when this much is on its way to a slow reader. */
const maximumBufferedBytes = 1024 * 1024;

type Handler = (data: unknown, send: Send) => Promise<void> | void;

export interface Connection {
  /** Takes no more messages; resolves when those that came before are done. */
  finish(): Promise<void>;
}

/** Serves one editor: its messages are handled one after the other, in the order they came. */
export function serveConnection(
  socket: WebSocket,
  workspace: Workspace,
  terminals: Terminals,
  onActivity: () => void,
): Connection {
  const attached = new Map<string, Listener>();
  const send: Send = (event, data) => socket.send(JSON.stringify({ event, data }));

  const listenerFor = (id: string, tagged: boolean): Listener => {
    const listener: Listener = {
      tagged,
      output(data) {
        const text = JSON.stringify({ event: "terminalResponse", data: tagged ? { sessionId: id, data } : data });
        socket.send(text, () => {
          if (socket.bufferedAmount < maximumBufferedBytes / 2) terminals.drained(listener);
        });
        return socket.bufferedAmount < maximumBufferedBytes;
      },
      closed() {
        attached.delete(id);
        send("terminalClosed", { sessionId: id });
      },
    };
    return listener;
  };

  /** Answers `<event>Response` with what `work` gives, or with its error, always beside the path as it came. */
  const answer =
    (event: string, echo: (data: unknown) => object, work: (data: unknown) => Promise<object>): Handler =>
    async (data, reply) => {
      try {
        reply(`${event}Response`, { ...(await work(data)), ...echo(data) });
      } catch (error) {
        reply(`${event}Response`, { error: reasonOf(error), ...echo(data) });
      }
    };
  const echoPath = (data: unknown) => ({ path: optionalField(data, "path") });
  const change = (event: string, work: (path: string) => Promise<void>): Handler =>
    answer(event, echoPath, async (data) => {
      await work(textField(data, "path"));
      return { success: true };
    });

  const handlers: Record<string, Handler> = {
    async Connection(_data, reply) {
      try {
        reply("Loaded", { rootContents: await workspace.list("") });
      } catch (error) {
        reply("error", { message: reasonOf(error) });
      }
    },
    fetchDir: answer(
      "fetchDir",
      (data) => ({ path: optionalField(data, "Dir", "dir", "path") }),
      async (data) => ({ contents: await workspace.list(textField(data, "Dir", "dir", "path")) }),
    ),
    fetchContent: answer("fetchContent", echoPath, async (data) => ({
      content: await workspace.read(textField(data, "path")),
    })),
    updateContent: answer("updateContent", echoPath, async (data) => {
      await workspace.patch(textField(data, "path"), textField(data, "patch"));
      return { success: true };
    }),
    createFile: change("createFile", workspace.createFile),
    createFolder: change("createFolder", workspace.createFolder),
    delete: change("delete", workspace.remove),
    rename: answer(
      "rename",
      (data) => ({ oldPath: optionalField(data, "oldPath"), newPath: optionalField(data, "newPath") }),
      async (data) => {
        await workspace.rename(textField(data, "oldPath"), textField(data, "newPath"));
        return { success: true };
      },
    ),
    requestTerminal(data, reply) {
      const wanted = optionalField(data, "sessionId");
      const tagged = optionalField(data, "tagged") === true;
      const { id, replay, listener } = terminals.attach(typeof wanted === "string" ? wanted : undefined, (made) =>
        listenerFor(made, tagged),
      );
      const before = attached.get(id);
      if (before) terminals.detach(id, before);
      attached.set(id, listener);
      reply("terminalConnected", { sessionId: id });
      if (replay) listener.output(replay);
    },
    terminalInput: (data) => terminals.write(terminalOf(data), textField(data, "data")),
    terminalResize: (data) =>
      terminals.resize(terminalOf(data), numberField(data, "cols", 1, 1000), numberField(data, "rows", 1, 1000)),
    closeTerminal: (data) => terminals.close(terminalOf(data)),
  };

  /** The front end that exists has one terminal and does not always name it. */
  function terminalOf(data: unknown): string {
    const named = optionalField(data, "sessionId");
    const id = typeof named === "string" && named !== "" ? named : [...attached.keys()].at(-1);
    if (!id) throw new Error("no terminal is open; send requestTerminal first");
    return id;
  }

  async function handle(text: string): Promise<void> {
    onActivity();
    let event = "";
    try {
      const frame = parseFrame(text);
      event = frame.event;
      const handler = Object.hasOwn(handlers, event) ? handlers[event] : undefined;
      if (!handler) throw new Error(`there is no event "${event.slice(0, 50)}"`);
      await handler(frame.data, send);
    } catch (error) {
      if (/terminal/i.test(event)) send("terminalError", { error: reasonOf(error) });
      else send("error", { message: reasonOf(error) });
    }
  }

  let last = Promise.resolve();
  let isFinished = false;
  socket.on("message", (data, isBinary) => {
    if (isFinished) return;
    last = last.then(() =>
      isBinary ? send("error", { message: "send text frames" }) : handle((data as Buffer).toString("utf8")),
    );
  });
  socket.on("close", () => {
    for (const [id, listener] of attached) terminals.detach(id, listener);
  });
  return {
    finish() {
      isFinished = true;
      return last;
    },
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
