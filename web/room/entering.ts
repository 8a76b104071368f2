import { computed, effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { api, bodyOf, Problem, type Repl, type Room } from "../api.ts";
import { followRepl, noProgress, type Progress } from "../events.ts";
import { reasonOf } from "../words.ts";

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
  /** Set by who is in: whether something that was typed would be lost by leaving. */
  readonly isAhead: Signal<boolean>;
  /** Opens it again after it was closed or failed. */
  open(): Promise<void>;
  /** Closes it for `work`, and opens it again whatever comes of that. */
  restore(work: () => Promise<void>): Promise<void>;
  /** A ticket that is good now. */
  freshTicket(): Promise<string>;
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
  let isBusy = false;
  let handled: string | undefined;
  let isLeft = false;

  function fail(error: unknown): void {
    const isMissing = error instanceof Problem && error.status === 404;
    if (isMissing) followed.peek()?.stop();
    entrance.value = isMissing ? { kind: "missing" } : { kind: "failed", reason: reasonOf(error) };
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

  async function handle(status: string | undefined): Promise<void> {
    // A container that was lost starts again by itself: who is in stays in, and what was typed with them.
    const isIn = entrance.peek().kind === "open";
    if (isLeft) return;
    if (status === undefined || (isIn && (status === "starting" || status === "running"))) return;
    if (status === "running") {
      const room = await ticket();
      wantsOpen = false;
      entrance.value = { kind: "open", room };
    } else if (status === "failed") {
      await read();
      // It had failed before somebody came: the wish to enter is the wish to try again.
      if (wantsOpen && progress.peek().steps.length === 0) await ask();
      else entrance.value = { kind: "failed", reason: repl.value?.statusReason ?? "It failed, and nobody said why." };
    } else if (status === "stopped") {
      if (wantsOpen) await ask();
      else entrance.value = { kind: "closed" };
    } else entrance.value = { kind: status === "deleted" ? "missing" : "waiting" };
  }

  /** Does what each new status asks for, one after the other. */
  async function keepUp(): Promise<void> {
    if (isBusy) return;
    isBusy = true;
    while (progress.peek().status !== handled) {
      handled = progress.peek().status;
      await handle(handled).catch(fail);
      await read().catch(() => {});
    }
    isBusy = false;
  }

  async function ask(): Promise<void> {
    wantsOpen = false;
    entrance.value = { kind: "waiting" };
    const answer = await bodyOf(api.api.repl.session[":id"].$post({ param, header: { prefer: "respond-async" } }));
    if ("ticket" in answer) entrance.value = { kind: "open", room: answer };
  }

  /** Does `work`, whose outcome decides, and then what the newest status asks for. */
  async function insist(work: () => Promise<unknown>): Promise<void> {
    isBusy = true;
    try {
      await work();
      // That it was closed, or had failed, is known; anything after that is to be looked at.
      const { status } = progress.peek();
      handled = status === "stopped" || status === "failed" ? status : undefined;
    } catch (error) {
      // Something else is under way, a create or a close: what comes of it decides.
      const isUnderWay = error instanceof Problem && error.status === 409;
      wantsOpen = isUnderWay;
      handled = isUnderWay ? undefined : progress.peek().status;
      if (!isUnderWay) fail(error);
    }
    isBusy = false;
    await keepUp();
  }

  async function begin(): Promise<void> {
    if (!isLeft) followed.value ??= followRepl(replId);
    await insist(() => Promise.all([read(), ask()]));
  }

  const stopWatching = effect(() => {
    if (progress.value.status !== handled) queueMicrotask(() => void keepUp());
  });
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") void read().catch(() => {});
  }, rereadEveryMs);
  void begin();

  return {
    entrance,
    repl,
    progress,
    isAhead: signal(false),
    async open() {
      entrance.value = { kind: "waiting" };
      await begin();
    },
    async restore(work) {
      entrance.value = { kind: "waiting" };
      await insist(() => work().then(ask));
    },
    async freshTicket() {
      await read();
      // Asking for a ticket opens what is closed, which is for people to wish.
      if (repl.peek()?.status !== "running") throw new Problem("It does not run.", 409);
      return (await ticket()).ticket;
    },
    leave() {
      isLeft = true;
      clearInterval(timer);
      stopWatching();
      followed.value?.stop();
    },
  };
}
