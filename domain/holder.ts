import type { ReplRecord, Session } from "./repl.ts";

type Restored = NonNullable<ReplRecord["restored"]>;

/** Which pod of a session held the files at a moment, and what was known of it. */
export type Holder = Pick<Restored, "pod" | "released" | "filling">;

/** What the record says of the pod that holds a session's files; undefined where none of this session has claimed them. */
export function restoredFor(record: ReplRecord | undefined, { id }: Pick<Session, "id">): Restored | undefined {
  return record?.restored?.sessionId === id ? record.restored : undefined;
}

export function holderOf(record: ReplRecord | undefined, session: Session): Holder | undefined {
  const restored = restoredFor(record, session);
  if (!restored) return undefined;
  const { pod, released, filling } = restored;
  return { pod, ...(released ? { released } : {}), ...(filling ? { filling } : {}) };
}

export function isSameHolder(then: Holder | undefined, since: Holder | undefined): boolean {
  return then?.pod === since?.pod && then?.released === since?.released && then?.filling === since?.filling;
}

/** Whether work may be lost with the pod that holds the files. */
export function mayTakeWork({ released, filling }: Holder): boolean {
  return !released && !filling;
}
