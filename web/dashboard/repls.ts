import { computed, signal } from "@preact/signals";
import { api, bodyOf, reasonOf, type Limits, type Repl, type Template } from "../api.ts";
import { followRepl, isInTransition, noProgress, type Following, type Progress } from "../events.ts";

/** The signed-in person's REPLs, as they are now. */

export const repls = signal<readonly Repl[] | undefined>(undefined);
export const templates = signal<readonly Template[]>([]);
export const limits = signal<Limits | undefined>(undefined);
export const failure = signal("");
/** By the id of a REPL. */
export const progress = signal<ReadonlyMap<string, Progress>>(new Map());

const active = new Set(["creating", "starting", "running", "stopping"]);
export const activeCount = computed(() => (repls.value ?? []).filter(({ status }) => active.has(status)).length);

const rereadEveryMs = 20_000;
/** A browser has few connections to a server; the rest of the list is read again now and then. */
const mostFollowed = 3;
const following = new Map<string, Following>();

export async function readRepls(): Promise<void> {
  try {
    repls.value = await bodyOf(api.api.repl.$get());
    failure.value = "";
    followWhatChanges();
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
    for (const one of following.values()) one.stop();
    following.clear();
    progress.value = new Map();
  };
}

function followWhatChanges(): void {
  const wanted = (repls.value ?? []).filter(({ status }) => isInTransition(status));
  const ids = new Set(wanted.slice(0, mostFollowed).map(({ id }) => id));
  for (const [id, one] of following) {
    if (ids.has(id)) continue;
    one.stop();
    following.delete(id);
  }
  for (const id of ids) follow(id);
}

function follow(id: string): void {
  if (following.has(id)) return;
  const followed = followRepl(id, ({ type }) => {
    progress.value = new Map(progress.value).set(id, followed.progress.value);
    if (type === "status") void readRepls();
  });
  following.set(id, followed);
}

/** What the list shows of a REPL while something happens to it. */
export function progressOf(id: string): Progress {
  return progress.value.get(id) ?? noProgress;
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
  const closing = bodyOf(api.api.repl.session[":id"].$delete({ param: { id } }));
  setTimeout(() => void readRepls(), 300);
  await closing.finally(() => void readRepls());
}

/** Deletes a REPL with all its files. Throws a Problem. */
export async function deleteRepl(id: string): Promise<void> {
  await bodyOf(api.api.repl[":id"].$delete({ param: { id } })).finally(() => void readRepls());
}
