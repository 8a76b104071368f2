import { signal, type ReadonlySignal } from "@preact/signals";
import type { Frame } from "../../runner/protocol.ts";
import { ConnectionLost } from "./document.ts";

export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** It will be tried again at `nextTry`, milliseconds since the epoch. */
  | { readonly kind: "lost"; readonly since: number; readonly nextTry: number };

export interface Connection {
  readonly state: ReadonlySignal<ConnectionState>;
  /** Sends when the connection is open; false when it is not. */
  send(event: string, data: unknown): boolean;
  /** The answer's data. Throws what the runner refused, or ConnectionLost. */
  ask<Data = unknown>(event: string, data: unknown, answer?: string): Promise<Data>;
  on(event: string, listener: (data: never) => void): () => void;
  /** When the other side said something last, in milliseconds since the epoch. */
  heardAt(): number;
  /** Tries now and does not wait for the next time. */
  tryNow(): void;
  close(): void;
}

interface ConnectionOptions {
  /** Where to connect to: asked for each time, because a ticket is worth something for a while only. */
  readonly address: () => Promise<string>;
  /** Called each time the connection is open, before anybody else's message. */
  readonly onOpen: () => void;
}

const refusalIn = (data: unknown) => {
  const { error, message } = (data ?? {}) as Readonly<Record<string, string | undefined>>;
  return error ?? message ?? "The container refused it.";
};

interface Waiting {
  readonly resolve: (data: never) => void;
  readonly reject: (error: Error) => void;
}

/** What comes in place of an answer. */
const refusals: Readonly<Record<string, string>> = { terminalError: "terminalConnected", error: "Loaded" };

const longestPauseMs = 5000;
/** A socket that does not open for this long is given up. */
const openWithinMs = 10_000;
/** The runner answers within moments; a network that swallows everything is noticed by this. */
const answerWithinMs = 20_000;
/** After so much silence the other side is asked whether it is there, and has as long again, twice, to answer. */
const silenceMs = 5000;

/** The socket of a room. It reconnects by itself; what was not answered then fails with ConnectionLost. */
export function connect({ address, onOpen }: ConnectionOptions): Connection {
  const state = signal<ConnectionState>({ kind: "connecting" });
  const listeners = new Map<string, Set<(data: never) => void>>();
  /** Messages are handled in their order, so the first that waits for an event is who gets it. */
  const waiting = new Map<string, Waiting[]>();
  let socket: WebSocket | undefined;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  let heardAt = 0;
  let askedAt = 0;

  async function open(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    let made: WebSocket;
    try {
      made = new WebSocket(await address());
    } catch {
      return lost();
    }
    if (isClosed) return made.close();
    socket = made;
    const patience = setTimeout(() => abandon(made), openWithinMs);
    made.addEventListener("open", () => {
      if (socket !== made) return made.close();
      clearTimeout(patience);
      failures = 0;
      heardAt = Date.now();
      state.value = { kind: "open" };
      onOpen();
    });
    made.addEventListener("message", ({ data }) => {
      if (socket !== made) return;
      heardAt = Date.now();
      receive(JSON.parse(data as string) as Frame);
    });
    made.addEventListener("close", () => {
      clearTimeout(patience);
      if (socket === made) lost();
    });
  }

  function abandon(which: WebSocket | undefined): void {
    if (socket !== which) return;
    which?.close();
    lost();
  }

  function lost(): void {
    socket = undefined;
    const before = state.peek();
    const pause = Math.min(500 * 2 ** failures++, longestPauseMs);
    const now = Date.now();
    if (!isClosed) {
      timer = setTimeout(() => void open(), pause);
      state.value = { kind: "lost", since: before.kind === "lost" ? before.since : now, nextTry: now + pause };
    }
    const all = [...waiting.values()].flat();
    waiting.clear();
    for (const { reject } of all) reject(new ConnectionLost());
  }

  function receive({ event, data }: Frame): void {
    waiting
      .get(event)
      ?.shift()
      ?.resolve(data as never);
    const refused = refusals[event];
    if (refused)
      waiting
        .get(refused)
        ?.shift()
        ?.reject(new Error(refusalIn(data)));
    for (const listener of listeners.get(event) ?? []) listener(data as never);
  }

  function send(event: string, data: unknown): boolean {
    if (!socket || state.peek().kind !== "open") return false;
    socket.send(JSON.stringify({ event, data }));
    return true;
  }

  function tryNow(): void {
    if (timer === undefined || isClosed) return;
    failures = 0;
    void open();
  }

  /** A network that goes without a word closes no socket. */
  function listenForSilence(): void {
    if (!socket || state.peek().kind !== "open" || globalThis.document?.visibilityState === "hidden") return;
    const now = Date.now();
    if (askedAt > heardAt) {
      if (now - askedAt > 2 * silenceMs) abandon(socket);
    } else if (now - heardAt > silenceMs && send("ping", {})) askedAt = now;
  }
  function whenOffline(): void {
    if (socket) abandon(socket);
  }
  const listening = setInterval(listenForSilence, silenceMs / 5);
  // A browser that is told of a network tries at once.
  globalThis.addEventListener?.("online", tryNow);
  globalThis.addEventListener?.("offline", whenOffline);

  void open();
  return {
    state,
    send,
    async ask<Data>(event: string, data: unknown, answer = `${event}Response`): Promise<Data> {
      const current = socket;
      if (!send(event, data)) throw new ConnectionLost();
      const queue = waiting.get(answer) ?? [];
      waiting.set(answer, queue);
      const patience = setTimeout(() => abandon(current), answerWithinMs);
      try {
        const got = await new Promise<Data>((resolve, reject) => queue.push({ resolve, reject }));
        const { error } = (got ?? {}) as { error?: unknown };
        if (typeof error === "string") throw new Error(error);
        return got;
      } finally {
        clearTimeout(patience);
      }
    },
    on(event, listener) {
      const group = listeners.get(event) ?? new Set();
      listeners.set(event, group.add(listener));
      return () => group.delete(listener);
    },
    heardAt: () => heardAt,
    tryNow,
    close() {
      isClosed = true;
      clearTimeout(timer);
      clearInterval(listening);
      globalThis.removeEventListener?.("online", tryNow);
      globalThis.removeEventListener?.("offline", whenOffline);
      socket?.close();
      lost();
    },
  };
}
