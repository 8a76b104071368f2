import type { KnownRepl, KnownSession, ReplRecord } from "../domain/repl.ts";
import type { UnsavedWork } from "../domain/save.ts";

/** How a user's REPLs are written in the index that the scripts in adapters/lua work on. */

export interface IndexedSession extends KnownSession {
  /** When it expires unless something refreshes it, in milliseconds since 1970. */
  readonly until: number;
}

/** The two values that scripts read come first; the rest is ours alone. */
export function indexSession({ id, until, state, url, reason }: IndexedSession): string {
  return `${id}|${until}|${JSON.stringify({ state, url, reason })}`;
}

/** What else is to be said of a REPL; empty when nothing is. */
export function indexNote({ isCreating, failure }: { isCreating?: boolean | undefined; failure?: string | undefined }) {
  return isCreating || failure ? JSON.stringify({ isCreating, failure }) : "";
}

/** All REPLs of an index as Redis answers hashes: one flat list. Sessions that have expired are left out. */
export function readIndex(pairs: readonly string[], now: number): (KnownRepl & { session?: IndexedSession })[] {
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) fields.set(pairs[at] as string, pairs[at + 1] as string);
  const known: (KnownRepl & { session?: IndexedSession })[] = [];
  for (const [field, text] of fields) {
    if (!field.startsWith("record:")) continue;
    const record = JSON.parse(text) as ReplRecord;
    const note = JSON.parse(fields.get(`note:${record.id}`) ?? "{}") as Pick<KnownRepl, "isCreating" | "failure">;
    const session = readSession(fields.get(`session:${record.id}`), fields.get(`unsaved:${record.id}`));
    known.push({ record, ...note, ...(session && session.until > now ? { session } : {}) });
  }
  return known;
}

function readSession(text: string | undefined, unsaved: string | undefined): IndexedSession | undefined {
  const [, id, until, view] = /^([^|]*)\|(\d+)\|(.*)$/s.exec(text ?? "") ?? [];
  if (id === undefined || view === undefined) return undefined;
  return {
    id,
    until: Number(until),
    ...(JSON.parse(view) as Pick<KnownSession, "state" | "url" | "reason">),
    ...(unsaved ? { unsaved: JSON.parse(unsaved) as UnsavedWork } : {}),
  };
}
