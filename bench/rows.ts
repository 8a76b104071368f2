import type { StackSettings } from "../tools/stack/settings.ts";

export interface BenchOptions {
  readonly stack: StackSettings;
  readonly environment: Readonly<Record<string, string>>;
  readonly rounds: number;
}

/** One case; times in milliseconds. */
export interface Row {
  readonly case: string;
  readonly n?: number;
  readonly p50Ms?: number;
  readonly p95Ms?: number;
  readonly ratioToFloor?: number;
  readonly [measure: string]: unknown;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0);
}

/** How many times the other one, to two digits. */
export function ratio(value: number, other: number): number {
  return Math.round((value / other) * 100) / 100;
}

export function rowPrinter(print: (row: Row) => void) {
  return (name: string, times: readonly number[], extra: Partial<Row> = {}) =>
    print({ case: name, n: times.length, p50Ms: percentile(times, 0.5), p95Ms: percentile(times, 0.95), ...extra });
}
