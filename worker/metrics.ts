import { collectDefaultMetrics, Counter, Histogram, Registry } from "prom-client";
import { ReplError } from "../domain/errors.ts";
import type { SaveSummary } from "../domain/save.ts";

/** Seconds; a copy of a template takes some tenths, a save of a large workspace minutes. */
const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** What a worker counts, for Prometheus. `sdk` gives what Temporal's SDK counts, in the same format. */
export function createWorkerMetrics(sdk: () => Promise<string>) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const attempts = new Histogram({
    name: "devex_step_duration_seconds",
    help: "Attempts of each step (activity), how they ended, and how long they took",
    labelNames: ["step", "outcome"],
    buckets,
    registers,
  });
  const failures = new Counter({
    name: "devex_step_failures_total",
    help: "Attempts of each step that failed, by the code of the failure",
    labelNames: ["step", "code"],
    registers,
  });
  const saves = new Counter({
    name: "devex_closing_saves_total",
    help: "Saves at a close that were proven",
    registers,
  });
  const savedFiles = new Counter({ name: "devex_closing_saved_files_total", help: "Files in them", registers });
  const savedBytes = new Counter({ name: "devex_closing_saved_bytes_total", help: "Bytes in them", registers });
  const orphanLooks = new Counter({
    name: "devex_orphan_looks_total",
    help: "Looks of the reconciler at which a session was found that looks like an orphan",
    registers,
  });
  return {
    contentType: registry.contentType,
    async render(): Promise<string> {
      const [ours, theirs] = await Promise.all([registry.metrics(), sdk().catch(() => "")]);
      return ours + theirs;
    },
    countDone(step: string, seconds: number): void {
      attempts.observe({ step, outcome: "ok" }, seconds);
    },
    countFailed(step: string, seconds: number, error: unknown): void {
      attempts.observe({ step, outcome: "failed" }, seconds);
      failures.inc({ step, code: error instanceof ReplError ? error.code : "other" });
    },
    countOrphans(seen: number): void {
      orphanLooks.inc(seen);
    },
    countSave({ files, bytes }: Pick<SaveSummary, "files" | "bytes">): void {
      saves.inc();
      savedFiles.inc(files);
      savedBytes.inc(bytes);
    },
  };
}
