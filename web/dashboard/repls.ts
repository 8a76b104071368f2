import { computed, signal } from "@preact/signals";
import type { ReplEvent } from "../../domain/events.ts";
import { api, bodyOf, type Limits, type Repl, type Template } from "../api.ts";
import { followRepl, isInTransition, noProgress, type Following, type Progress } from "../events.ts";
import { reasonOf } from "../words.ts";

/** The signed-in person's REPLs, as they are now. */

export const repls = signal<readonly Repl[] | undefined>(undefined);
export const templates = signal<readonly Template[]>([]);
export const limits = signal<Limits | undefined>(undefined);
export const failure = signal("");

const active = new Set(["creating", "starting", "running", "stopping"]);
export const activeCount = computed(() => (repls.value ?? []).filter(({ status }) => active.has(status)).length);

/** Why nothing can be created now, before the server has to say so. */
export function quotaReason(): string | undefined {
  const [all, most] = [repls.value, limits.value];
  if (!all || !most) return undefined;
  if (all.length >= most.repls)
    return `You have ${all.length} REPLs, the most one person can. Delete one to make room.`;
  if (activeCount.value >= most.active)
    return `You have ${activeCount.value} open, the most one person can. Close one to open another; its files are kept.`;
  return undefined;
}

const rereadEveryMs = 5000;
/** A browser has few connections to a server; the rest of the list is read again now and then. */
const mostFollowed = 3;
const following = signal<ReadonlyMap<string, Following>>(new Map());

export async function readRepls(): Promise<void> {
  try {
    repls.value = await bodyOf(api.api.repl.$get());
    failure.value = "";
    const changing = repls.value.filter(({ status }) => isInTransition(status));
    followOnly(new Set(changing.slice(0, mostFollowed).map(({ id }) => id)));
  } catch (error) {
    failure.value = reasonOf(error);
  }
}

/** Reads everything, and goes on reading until it is told to stop. */
export function watchRepls(): () => void {
  void readRepls();
  void bodyOf(api.api.templates.$get()).then(
    (all) => (templates.value = all),
    (error: unknown) => (failure.value = reasonOf(error)),
  );
  void bodyOf(api.api.limits.$get()).then(
    (found) => (limits.value = found),
    () => {},
  );
  const whenSeen = () => {
    if (document.visibilityState === "visible") void readRepls();
  };
  const timer = setInterval(whenSeen, rereadEveryMs);
  document.addEventListener("visibilitychange", whenSeen);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", whenSeen);
    followOnly(new Set());
  };
}

function followOnly(ids: ReadonlySet<string>): void {
  const before = following.peek();
  for (const [id, one] of before) if (!ids.has(id)) one.stop();
  const onEvent = ({ type }: ReplEvent) => {
    if (type === "status") void readRepls();
  };
  following.value = new Map([...ids].map((id) => [id, before.get(id) ?? followRepl(id, onEvent)]));
}

/** To hear at once of what is about to begin. */
function follow(id: string): void {
  const ids = [...following.peek().keys()];
  if (ids.length < mostFollowed) followOnly(new Set([...ids, id]));
}

/** What the list shows of a REPL while something happens to it. */
export function progressOf(id: string): Progress {
  return following.value.get(id)?.progress.value ?? noProgress;
}

/** A new REPL, whose container is on its way; the same `key` never makes a second one. Throws a Problem. */
export async function createRepl(template: string, name: string, key: string): Promise<Repl> {
  const json = { template, name };
  const header = { prefer: "respond-async", "idempotency-key": key };
  const made = await bodyOf(api.api.repl.create.$post({ json, header }));
  void readRepls();
  return made;
}

/** Begins to close; resolves when it is saved and closed. Throws a Problem. */
export async function closeRepl(id: string): Promise<void> {
  follow(id);
  await bodyOf(api.api.repl.session[":id"].$delete({ param: { id } })).finally(() => void readRepls());
}

/** Deletes a REPL with all its files. Throws a Problem. */
export async function deleteRepl(id: string): Promise<void> {
  follow(id);
  await bodyOf(api.api.repl[":id"].$delete({ param: { id } })).finally(() => void readRepls());
}
