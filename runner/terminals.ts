import { randomUUID } from "node:crypto";
import { spawn, type IPty } from "@lydell/node-pty";

const replayCharacters = 64 * 1024;
const maximumTerminals = 16;
/** In which a shell that is closed may end by itself. */
const graceMs = 1000;

/** Hears a terminal's output; answers false while it cannot take more, and calls `onDrain` when it can again. */
export interface Listener {
  readonly tagged: boolean;
  output(data: string): boolean;
  /** The shell has ended; the code is what it ended with. */
  closed(exitCode: number): void;
}

interface Terminal {
  readonly id: string;
  readonly pty: IPty;
  readonly listeners: Set<Listener>;
  readonly full: Set<Listener>;
  recent: string;
}

export type Terminals = ReturnType<typeof createTerminals>;

/** The shells of one REPL. They live on while nobody listens, so that a reloaded page finds them again. */
export function createTerminals(options: {
  readonly folder: string;
  readonly shell: string;
  readonly environment: Record<string, string>;
  readonly onActivity: () => void;
}) {
  const terminals = new Map<string, Terminal>();

  function start(): Terminal {
    if (terminals.size >= maximumTerminals)
      throw new Error(`at most ${maximumTerminals} terminals can be open; close one first`);
    const pty = spawn(options.shell, ["-l"], {
      name: "xterm-256color",
      cols: 80,
      rows: 24,
      cwd: options.folder,
      env: { ...options.environment, TERM: "xterm-256color", SHELL: options.shell },
    });
    const terminal: Terminal = { id: randomUUID(), pty, listeners: new Set(), full: new Set(), recent: "" };
    terminals.set(terminal.id, terminal);
    pty.onData((data) => {
      options.onActivity();
      terminal.recent = (terminal.recent + data).slice(-replayCharacters);
      for (const listener of terminal.listeners) if (!listener.output(data)) terminal.full.add(listener);
      // The slowest listener sets the pace: nothing is dropped and nothing piles up.
      if (terminal.full.size > 0) pty.pause();
    });
    pty.onExit(({ exitCode }) => {
      terminals.delete(terminal.id);
      for (const listener of terminal.listeners) listener.closed(exitCode);
    });
    return terminal;
  }

  function find(id: string): Terminal {
    const terminal = terminals.get(id);
    if (!terminal) throw new Error("this terminal is closed");
    return terminal;
  }

  function release(terminal: Terminal, listener: Listener): void {
    terminal.full.delete(listener);
    if (terminal.full.size === 0) terminal.pty.resume();
  }

  /** Politely, and then not: a shell may ignore the first signal, or be busy with a line at that very moment. */
  function end(terminal: Terminal): void {
    signalGroup(terminal.pty, "SIGHUP");
    setTimeout(() => terminals.has(terminal.id) && signalGroup(terminal.pty, "SIGKILL"), graceMs).unref();
  }

  return {
    /** Attaches to a live terminal and replays its last output, or starts a new one. Returns its id. */
    attach(
      id: string | undefined,
      makeListener: (id: string) => Listener,
    ): { id: string; replay: string; listener: Listener } {
      const existing = id === undefined ? undefined : terminals.get(id);
      const terminal = existing ?? start();
      const listener = makeListener(terminal.id);
      terminal.listeners.add(listener);
      return { id: terminal.id, replay: existing ? wholeCharacters(existing.recent) : "", listener };
    },
    detach(id: string, listener: Listener): void {
      const terminal = terminals.get(id);
      if (!terminal) return;
      terminal.listeners.delete(listener);
      release(terminal, listener);
    },
    drained(listener: Listener): void {
      for (const terminal of terminals.values()) if (terminal.full.has(listener)) release(terminal, listener);
    },
    write: (id: string, data: string): void => find(id).pty.write(data),
    resize: (id: string, cols: number, rows: number): void => find(id).pty.resize(cols, rows),
    close(id: string): void {
      end(find(id));
    },
    closeAll(): void {
      for (const terminal of terminals.values()) end(terminal);
    },
    count: (): number => terminals.size,
  };
}

/** A shell leads its own process group, and what it started goes with it. */
function signalGroup(pty: IPty, signal: NodeJS.Signals): void {
  try {
    process.kill(-pty.pid, signal);
  } catch {
    pty.kill(signal);
  }
}

/** The cut may have split a surrogate pair. */
function wholeCharacters(text: string): string {
  const first = text.charCodeAt(0);
  return first >= 0xdc00 && first <= 0xdfff ? text.slice(1) : text;
}
