import { normalize } from "node:path";
import type { WebSocket } from "ws";
import { highestPort, lowestPort } from "./preview-proxy.ts";
import { numberField, optionalField, parseFrame, textField, type Send } from "./protocol.ts";
import type { FileWatch } from "./file-watch.ts";
import type { Listener, Terminals } from "./terminals.ts";
import type { Workspace } from "./workspace.ts";

/** A terminal's output waits when this much is on its way to a slow reader. */
const maximumBufferedBytes = 1024 * 1024;

/** Of an editor's own changes; who forgets one tells its editor of it. */
const maximumRemembered = 1000;
/** A client that sends faster than its messages can be handled is not read from for a while. */
const maximumWaitingMessages = 100;

type Handler = (data: unknown, send: Send) => Promise<void> | void;

export interface Connection {
  /**
   * Does nothing more that was sent, also before; resolves when what is being done is done. That, too, is not
   * acknowledged: the last save may have begun.
   */
  finish(): Promise<void>;
}

/** What all editors of a REPL share. */
export interface Room {
  readonly workspace: Workspace;
  readonly terminals: Terminals;
  readonly fileWatch: FileWatch;
  /** Ports whose previews anybody may see who knows the address; none after a start. */
  readonly publicPorts: Set<number>;
  readonly onActivity: () => void;
}

/** Serves one editor: its messages are handled one after the other, in the order they came. */
export function serveConnection(
  socket: WebSocket,
  { workspace, terminals, fileWatch, publicPorts, onActivity }: Room,
): Connection {
  /** What this editor has done to a path, so that it is not told of it as of somebody else's change. */
  const own = new Map<string, string>();
  let clipboard: { readonly path: string; readonly isCut: boolean } | undefined;
  let stopListening = () => {};
  let isGone = false;
  let isFinished = false;
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
      closed(exitCode) {
        attached.delete(id);
        send("terminalClosed", { sessionId: id, exitCode });
      },
    };
    return listener;
  };

  /** Answers `<event>Response` with what `work` gives, or with its error, always beside the path as it came. */
  const answer =
    (event: string, echo: (data: unknown) => object, work: (data: unknown) => Promise<object>): Handler =>
    async (data, reply) => {
      try {
        const done = await work(data);
        if (isFinished) throw new Error("This REPL is being closed: whether this is saved is not known.");
        reply(`${event}Response`, { ...done, ...echo(data) });
      } catch (error) {
        reply(`${event}Response`, { error: reasonOf(error), ...echo(data) });
      }
    };
  const echoPath = (data: unknown) => ({ path: optionalField(data, "path") });
  const echoBoth = (data: unknown) => ({
    sourcePath: optionalField(data, "sourcePath"),
    targetPath: optionalField(data, "targetPath"),
  });
  const remember = async (...paths: readonly string[]) => {
    if (own.size > maximumRemembered) own.clear();
    for (const path of paths) own.set(plainPath(path), await workspace.stateOf(path));
  };
  const change = (event: string, work: (path: string, data: unknown) => Promise<object | void>): Handler =>
    answer(event, echoPath, async (data) => {
      const path = textField(data, "path");
      const more = await work(path, data);
      await remember(path);
      return { success: true, ...more };
    });

  async function listen(): Promise<void> {
    stopListening();
    stopListening = await fileWatch.listen(({ path, kind }) => {
      void workspace.stateOf(path).then((state) => {
        if (own.get(path) !== state) send("fileChanged", { path, kind });
      });
    });
    if (isGone) stopListening();
  }

  const handlers: Record<string, Handler> = {
    async Connection(_data, reply) {
      try {
        await listen();
        reply("Loaded", { rootContents: await workspace.list(""), publicPorts: [...publicPorts] });
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
    updateContent: change("updateContent", async (path, data) => ({
      crc32: await workspace.patch(path, textField(data, "patch")),
    })),
    createFile: change("createFile", workspace.createFile),
    createFolder: change("createFolder", workspace.createFolder),
    delete: change("delete", workspace.remove),
    rename: answer(
      "rename",
      (data) => ({ oldPath: optionalField(data, "oldPath"), newPath: optionalField(data, "newPath") }),
      async (data) => {
        const [from, to] = [textField(data, "oldPath"), textField(data, "newPath")];
        await workspace.rename(from, to);
        await remember(from, to);
        return { success: true };
      },
    ),
    copy: answer("copy", echoBoth, async (data) => {
      clipboard = { path: textField(data, "sourcePath"), isCut: false };
      const target = optionalField(data, "targetPath");
      if (target === undefined) return { success: true };
      return { success: true, path: await put(clipboard, textField(data, "targetPath")) };
    }),
    cut: answer("cut", echoBoth, async (data) => {
      clipboard = { path: textField(data, "sourcePath"), isCut: true };
      return { success: true };
    }),
    paste: answer("paste", echoBoth, async (data) => {
      if (!clipboard) throw new Error("nothing was copied or cut");
      const path = await put(clipboard, textField(data, "targetPath"));
      if (clipboard.isCut) clipboard = undefined;
      return { success: true, path };
    }),
    sharePort: answer(
      "sharePort",
      (data) => ({ port: optionalField(data, "port") }),
      async (data) => {
        const port = numberField(data, "port", lowestPort, highestPort);
        const isPublic = optionalField(data, "isPublic") === true;
        if (isPublic) publicPorts.add(port);
        else publicPorts.delete(port);
        return { success: true, isPublic };
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
    // For a page, which does not see the socket's own pings.
    ping: (_data, reply) => reply("pingResponse"),
  };

  async function put({ path, isCut }: { path: string; isCut: boolean }, target: string): Promise<string> {
    const where = await (isCut ? workspace.move(path, target) : workspace.copy(path, target));
    await remember(path, where);
    return where;
  }

  /** The front end that exists has one terminal and does not always name it. */
  function terminalOf(data: unknown): string {
    const named = optionalField(data, "sessionId");
    const id = typeof named === "string" && named !== "" ? named : [...attached.keys()].at(-1);
    if (!id) throw new Error("no terminal is open; send requestTerminal first");
    return id;
  }

  async function handle(text: string): Promise<void> {
    if (isFinished) return;
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
  let waiting = 0;
  socket.on("message", (data, isBinary) => {
    if (isFinished) return;
    if (++waiting > maximumWaitingMessages) socket.pause();
    last = last
      .then(() =>
        isBinary ? send("error", { message: "send text frames" }) : handle((data as Buffer).toString("utf8")),
      )
      .then(() => {
        if (--waiting <= maximumWaitingMessages / 2) socket.resume();
      });
  });
  socket.on("close", () => {
    isGone = true;
    stopListening();
    for (const [id, listener] of attached) terminals.detach(id, listener);
  });
  return {
    finish() {
      isFinished = true;
      return last;
    },
  };
}

/** As the file watch names it. */
function plainPath(path: string): string {
  return normalize(`/${path}`).slice(1);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
