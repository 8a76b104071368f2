const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const dailyForMs = 30 * dayMs;
/** Whatever their age: the newest, and the one to go back to when that is the mistake. */
const alwaysKept = 2;

interface Keepable {
  readonly generation: number;
  readonly createdAt: string;
  /** It may never have become a save. */
  readonly isDoubtful?: boolean;
}

/**
 * Which saves stay: all of the last day, the newest of each day (UTC) for thirty days, and always the two newest. One
 * that is doubtful stays for those days, and is nowhere the newest in place of another.
 */
export function savesToKeep(saves: readonly Keepable[], now: Date): Set<number> {
  const newestFirst = saves.toSorted((a, b) => b.generation - a.generation);
  const kept = new Set(newestFirst.slice(0, alwaysKept).map(({ generation }) => generation));
  const days = new Set<string>();
  for (const { generation, createdAt, isDoubtful = false } of newestFirst) {
    const ageMs = now.getTime() - Date.parse(createdAt);
    const day = createdAt.slice(0, "2026-01-01".length);
    if (ageMs < dayMs || (ageMs < dailyForMs && (isDoubtful || !days.has(day)))) kept.add(generation);
    if (!isDoubtful) days.add(day);
  }
  return kept;
}

/** So many entries of manifests are read within a minute: a REPL of 20,000 files with 500 saves. */
const fewEntries = 10_000_000;
/** What an attempt left in the last save's day has become old by then. */
const freshForMs = 3 * dayMs;

/**
 * Whether the files of a REPL are to be looked through now, for versions that no save names: when saves were removed,
 * and for some days after the last one. Where its manifests take long to read, and where no save was removed, once a
 * day, each REPL in an hour of its own.
 */
export function isCleaningDue(
  repl: {
    readonly id: string;
    readonly lastSavedAt: string;
    readonly savesRemoved: number;
    /** Of all its manifests together. */
    readonly entries: number;
  },
  now: Date,
): boolean {
  if (repl.savesRemoved > 0 && repl.entries <= fewEntries) return true;
  return now.getTime() - Date.parse(repl.lastSavedAt) < freshForMs && now.getUTCHours() === hourOf(repl.id);
}

function hourOf(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.charCodeAt(0)) % 24_000;
  return sum % 24;
}
