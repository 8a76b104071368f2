const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const dailyForMs = 30 * dayMs;
/** Whatever their age: the newest, and the one to go back to when that is the mistake. */
const alwaysKept = 2;

/**
 * Which saves stay: all of the last day, the newest of each day (UTC) for thirty days, and always the two newest.
 */
export function savesToKeep(
  saves: readonly { readonly generation: number; readonly createdAt: string }[],
  now: Date,
): Set<number> {
  const newestFirst = saves.toSorted((a, b) => b.generation - a.generation);
  const kept = new Set(newestFirst.slice(0, alwaysKept).map(({ generation }) => generation));
  const days = new Set<string>();
  for (const { generation, createdAt } of newestFirst) {
    const ageMs = now.getTime() - Date.parse(createdAt);
    const day = createdAt.slice(0, "2026-01-01".length);
    if (ageMs < dayMs || (ageMs < dailyForMs && !days.has(day))) kept.add(generation);
    days.add(day);
  }
  return kept;
}
