import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";
import { api, bodyOf, Problem, reasonOf, type Repl, type Room } from "../api.ts";
import { followRepl, noProgress, type Progress } from "../events.ts";

export type Entrance =
  /** On the way in, or out: `progress` says how far. */
  | { readonly kind: "waiting" }
  | { readonly kind: "open"; readonly room: Room }
  | { readonly kind: "closed" }
  | { readonly kind: "failed"; readonly reason: string }
  /** There is none, or it is somebody else's. */
  | { readonly kind: "missing" };

export interface Entering {
  readonly entrance: ReadonlySignal<Entrance>;
  readonly repl: ReadonlySignal<Repl | undefined>;
  readonly progress: ReadonlySignal<Progress>;
  /** Opens it again after it was closed or failed. */
  open(): Promise<void>;
  /** Closes it for `work`, and opens it again whatever comes of that. */
  restore(work: () => Promise<void>): Promise<void>;
  /** A ticket that is good now. */
  freshTicket(): Promise<string>;
  /** Reads the REPL again. */
  read(): Promise<void>;
  leave(): void;
}

const rereadEveryMs = 10_000;

/** Opens a REPL and keeps knowing what becomes of it, by whomever. */
export function enterRoom(replId: string): Entering {
  const param = { id: replId };
  const entrance = signal<Entrance>({ kind: "waiting" });
  const repl = signal<Repl | undefined>(undefined);
  const followed = signal<ReturnType<typeof followRepl> | undefined>(undefined);
  const progress = computed(() => followed.value?.progress.value ?? noProgress);
  /** Coming here is the wish to have it open; a close is the wish that it stays closed. */
  let wantsOpen = true;
  let isAsking = false;
  let isLeft = false;

  function fail(error: unknown): void {
    entrance.value =
      error instanceof Problem && error.status === 404
        ? { kind: "missing" }
        : { kind: "failed", reason: reasonOf(error) };
  }

  async function read(): Promise<void> {
    const found = await bodyOf(api.api.repl[":id"].$get({ param }));
    repl.value = found;
  }

  /** Gets in, when it runs. */
  async function ticket(): Promise<Room> {
    const room = await bodyOf(api.api.repl.session[":id"].$post({ param, header: {} }));
    if (!("ticket" in room)) throw new Problem("It does not run yet. Try again in a moment.", 409);
    return room;
  }

  async function arrive(status: string | undefined): Promise<void> {
    if (isLeft || isAsking) return;
    // A container that was lost starts again by itself: who is in stays in, and what was typed with them.
    const isIn = entrance.peek().kind === "open";
    if (isIn && (status === "starting" || status === "running")) return;
    isAsking = true;
    try {
      if (status === "running") {
        const room = await ticket();
        wantsOpen = false;
        entrance.value = { kind: "open", room };
      } else if (status === "failed") {
        await read();
        if (wantsOpen && entrance.peek().kind === "waiting" && !progress.peek().steps.length) await ask();
        else entrance.value = { kind: "failed", reason: repl.value?.statusReason ?? "It failed, and nobody said why." };
      } else if (status === "stopped") {
        if (wantsOpen) await ask();
        else entrance.value = { kind: "closed" };
      } else if (status === "deleted") entrance.value = { kind: "missing" };
      else if (status !== undefined) entrance.value = { kind: "waiting" };
    } catch (error) {
      fail(error);
    } finally {
      isAsking = false;
    }
    await read().catch(() => {});
  }

  async function ask(): Promise<void> {
    wantsOpen = false;
    entrance.value = { kind: "waiting" };
    const answer = await bodyOf(api.api.repl.session[":id"].$post({ param, header: { prefer: "respond-async" } }));
    if ("ticket" in answer) entrance.value = { kind: "open", room: answer };
  }

  async function begin(): Promise<void> {
    try {
      await read();
    } catch (error) {
      return fail(error);
    }
    if (!isLeft) followed.value = followRepl(replId);
  }

  let last: string | undefined;
  const stopWatching = effect(() => {
    const { status } = progress.value;
    if (status === last) return;
    last = status;
    queueMicrotask(() => void arrive(status));
  });
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") void read().catch(() => {});
  }, rereadEveryMs);
  void begin();

  return {
    entrance,
    repl,
    progress,
    read,
    async open() {
      entrance.value = { kind: "waiting" };
      if (!followed.value) return begin();
      await ask().catch(fail);
    },
    async restore(work) {
      isAsking = true;
      entrance.value = { kind: "waiting" };
      try {
        await work();
        await ask();
      } catch (error) {
        fail(error);
      } finally {
        isAsking = false;
      }
      await arrive(progress.peek().status);
    },
    freshTicket: async () => (await ticket()).ticket,
    leave() {
      isLeft = true;
      clearInterval(timer);
      stopWatching();
      followed.value?.stop();
    },
  };
}
