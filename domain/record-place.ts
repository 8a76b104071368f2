import { ReplError } from "./errors.ts";
import type { Burial } from "./ports.ts";
import type { ReplRecord } from "./repl.ts";

/**
 * Stands where the record of a removed REPL was, for a day. An attempt of its create that was slower than the undo or
 * the deletion finds it, and cannot bring the REPL back.
 */
export interface Tombstone {
  /** Of the REPL that was removed; another one of the same id may be created. */
  readonly createdAt: string;
  readonly removedAt: string;
  /** The runs of its create that were undone; absent after a deletion, which no run may take back. */
  readonly runs?: readonly string[];
}

/** What lies in a record's place: the record, if there is one, and the tombstones of those that were there before. */
export interface RecordPlace {
  readonly record?: ReplRecord;
  readonly tombstones: readonly Tombstone[];
}

/** Longer than any attempt of an activity can take. */
const keptForMs = 24 * 3_600_000;

/** One object holds both: a record's own fields, and `tombstones` where there are any. */
export function readPlace(stored: object): RecordPlace {
  const { tombstones = [], ...fields } = stored as Partial<ReplRecord> & Partial<Pick<RecordPlace, "tombstones">>;
  return { ...(fields.id === undefined ? {} : { record: fields as ReplRecord }), tombstones };
}

export function writePlace({ record, tombstones }: RecordPlace): string {
  return JSON.stringify({ ...record, ...(tombstones.length > 0 ? { tombstones } : {}) });
}

/** The place after a create; undefined where the record is there already. Throws as {@link Registry.create} does. */
export function createIn({ record: existing, tombstones }: RecordPlace, record: ReplRecord): RecordPlace | undefined {
  if (existing?.createdAt === record.createdAt) return undefined;
  if (existing) throw new ReplError("conflict", `There is another ${record.id}.`);
  const { createdAt, madeBy = "" } = record;
  if (tombstones.some((one) => one.createdAt === createdAt && (one.runs?.includes(madeBy) ?? true)))
    throw new ReplError("conflict", `The create of ${record.id} was undone, or the REPL was deleted, meanwhile.`);
  return { record, tombstones };
}

/** The place after a change, and the record then; no place where nothing has changed. Throws `not_found`. */
export function changeIn(
  { record, tombstones }: RecordPlace,
  change: (record: ReplRecord) => ReplRecord,
): { readonly changed: ReplRecord; readonly place: RecordPlace | undefined } {
  if (!record) throw new ReplError("not_found", "There is no such REPL.");
  const changed = change(record);
  return { changed, place: changed === record ? undefined : { record: changed, tombstones } };
}

/** The place after a burial; undefined where something is there that it may not bury. */
export function buryIn(
  { record, tombstones }: RecordPlace,
  { createdAt, run }: Burial,
  mayBury: (record: ReplRecord) => boolean,
  now: Date,
): RecordPlace | undefined {
  if (record && (record.createdAt !== createdAt || !mayBury(record))) return undefined;
  const before = tombstones.find((one) => one.createdAt === createdAt);
  const isDeleted = run === undefined || (before !== undefined && before.runs === undefined);
  const runs = isDeleted ? undefined : [...new Set([...(before?.runs ?? []), run])];
  const others = tombstones.filter((one) => one !== before && !isForgotten(one, now));
  return { tombstones: [...others, { createdAt, removedAt: now.toISOString(), ...(runs ? { runs } : {}) }] };
}

/** Whether nothing but tombstones is there, which no late attempt can need any more. */
export function isForgettable({ record, tombstones }: RecordPlace, now: Date): boolean {
  return !record && tombstones.every((one) => isForgotten(one, now));
}

function isForgotten({ removedAt }: Tombstone, now: Date): boolean {
  return now.getTime() - Date.parse(removedAt) > keptForMs;
}
