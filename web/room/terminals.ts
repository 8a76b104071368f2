import { effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { Terminal as Screen } from "@xterm/xterm";
import { reasonOf } from "../words.ts";
import type { Connection } from "./connection.ts";
import { ConnectionLost } from "./document.ts";
import { keptInWindow } from "./kept.ts";

export interface Terminal {
  /** Of this page's alone, and the same for as long as the terminal is shown. */
  readonly key: string;
  readonly title: string;
  readonly screen: Screen;
  /** The runner's name for it; undefined until it is connected and after its shell has ended. */
  readonly sessionId: Signal<string | undefined>;
  readonly ended: ReadonlySignal<number | undefined>;
}

interface OpenTerminal extends Terminal {
  readonly ended: Signal<number | undefined>;
  /** Typed while there was no connection. */
  readonly waiting: string[];
  /** When keys were sent last, in milliseconds since the epoch. */
  sentAt: number;
}

export type Terminals = ReturnType<typeof createTerminals>;

interface Kept {
  readonly sessionId: string;
  readonly title: string;
}

/** Keys that were meant for another shell are not given to this one. */
const newShell = "[a new shell: the one that was here is gone, and what was typed to it meanwhile is not sent]\r\n";
/** Sent again they might arrive twice. */
const uncertainKeys = "The connection broke while you typed. Look which of your last keys have arrived.";
/** More than this is not typed while a connection is lost. */
const mostWaitingInput = 10_000;

/** The terminals of a room: each lives on in the container when this page is loaded again, and is found by it. */
export function createTerminals(connection: Connection, replId: string, makeScreen: () => Screen) {
  const all = signal<readonly OpenTerminal[]>([]);
  const activeKey = signal<string | undefined>(undefined);
  const failure = signal("");
  const kept = keptInWindow<readonly Kept[]>("terminals", replId);
  let made = 0;

  const keep = () =>
    kept.write(
      all.value.flatMap(({ sessionId, title }): Kept[] =>
        sessionId.value === undefined ? [] : [{ sessionId: sessionId.value, title }],
      ),
    );
  const find = (sessionId: string) => all.value.find((one) => one.sessionId.value === sessionId);

  function add(title: string): OpenTerminal {
    const screen = makeScreen();
    const terminal: OpenTerminal = {
      key: `terminal-${++made}`,
      title,
      screen,
      sessionId: signal<string | undefined>(undefined),
      ended: signal<number | undefined>(undefined),
      waiting: [],
      sentAt: 0,
    };
    const type = (data: string) => {
      const id = terminal.sessionId.value;
      if (terminal.ended.value !== undefined) return;
      if (id !== undefined && connection.send("terminalInput", { sessionId: id, data })) {
        terminal.sentAt = Date.now();
        if (failure.peek() === uncertainKeys) failure.value = "";
        // What is typed into a lost connection goes when it is back.
      } else if (terminal.waiting.join("").length + data.length <= mostWaitingInput) terminal.waiting.push(data);
    };
    screen.onData(type);
    screen.onBinary(type);
    screen.onResize(({ cols, rows }) => {
      const id = terminal.sessionId.value;
      if (id !== undefined) connection.send("terminalResize", { sessionId: id, cols, rows });
    });
    all.value = [...all.value, terminal];
    activeKey.value ??= terminal.key;
    return terminal;
  }

  /** Connects a terminal to its shell: the one that it had, where that lives, else a new one. */
  async function attach(terminal: OpenTerminal, wanted?: string): Promise<void> {
    try {
      const request = { tagged: true, ...(wanted ? { sessionId: wanted } : {}) };
      const { sessionId } = await connection.ask<{ sessionId: string }>(
        "requestTerminal",
        request,
        "terminalConnected",
      );
      // What comes now begins with the last that there was.
      if (wanted) terminal.screen.reset();
      terminal.sessionId.value = sessionId;
      const { cols, rows } = terminal.screen;
      connection.send("terminalResize", { sessionId, cols, rows });
      const typed = terminal.waiting.splice(0).join("");
      const isSameShell = wanted === undefined || wanted === sessionId;
      if (typed && isSameShell) connection.send("terminalInput", { sessionId, data: typed });
      else if (!isSameShell) terminal.screen.write(newShell);
      keep();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) failure.value = reasonOf(error);
    }
  }

  const stopWatching = effect(() => {
    if (connection.state.value.kind !== "lost") return;
    for (const terminal of all.peek()) {
      if (terminal.sentAt > connection.heardAt()) failure.value = uncertainKeys;
      terminal.sentAt = 0;
    }
  });
  connection.on("terminalResponse", (output: { sessionId: string; data: string }) => {
    find(output.sessionId)?.screen.write(output.data);
  });
  connection.on("terminalClosed", ({ sessionId, exitCode }: { sessionId: string; exitCode: number }) => {
    const terminal = find(sessionId);
    if (!terminal) return;
    terminal.ended.value = exitCode;
    terminal.sessionId.value = undefined;
    terminal.screen.write(`\r\n[the shell has ended${exitCode ? ` with code ${exitCode}` : ""}]\r\n`);
    keep();
  });
  connection.on("terminalError", ({ error }: { error: string }) => (failure.value = error));

  function remove(key: string): void {
    const terminal = all.value.find((one) => one.key === key);
    all.value = all.value.filter((one) => one.key !== key);
    if (activeKey.value === key) activeKey.value = all.value.at(-1)?.key;
    terminal?.screen.dispose();
    keep();
  }

  async function open(title: string): Promise<Terminal> {
    failure.value = "";
    const terminal = add(title);
    activeKey.value = terminal.key;
    await attach(terminal);
    return terminal;
  }

  return {
    all,
    activeKey,
    failure,
    open,

    /** The connection is there, for the first time or again. */
    async connected(): Promise<void> {
      if (all.value.length > 0) {
        const living = all.value.filter(({ ended }) => ended.value === undefined);
        await Promise.all(living.map((one) => attach(one, one.sessionId.value)));
        return;
      }
      const before = kept.read() ?? [];
      if (before.length === 0) return void (await open("Terminal"));
      await Promise.all(before.map(({ sessionId, title }) => attach(add(title), sessionId)));
    },

    /** Ends the shell and what it started. */
    close(key: string): void {
      const id = all.value.find((one) => one.key === key)?.sessionId.value;
      if (id !== undefined) connection.send("closeTerminal", { sessionId: id });
      remove(key);
    },

    /** Runs a command in the terminal of that title, in place of what runs there. */
    async run(title: string, command: string): Promise<void> {
      const known = all.value.find((one) => one.title === title && one.ended.value === undefined);
      const terminal = known ?? (await open(title));
      activeKey.value = terminal.key;
      const sessionId = terminal.sessionId.value;
      if (sessionId === undefined) return;
      if (known) connection.send("terminalInput", { sessionId, data: "\x03" });
      connection.send("terminalInput", { sessionId, data: `${command}\r` });
    },

    /** Ends what runs in the terminal of that title, as Ctrl-C does. */
    interrupt(title: string): void {
      const sessionId = all.value.find((one) => one.title === title)?.sessionId.value;
      if (sessionId !== undefined) connection.send("terminalInput", { sessionId, data: "\x03" });
    },

    dispose(): void {
      stopWatching();
      for (const { screen } of all.value) screen.dispose();
    },
  };
}
