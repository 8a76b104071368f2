import type { UnsavedWork } from "../domain/save.ts";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Seconds; look-ups take milliseconds, a close some seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Metrics = ReturnType<typeof createMetrics>;

/** What the API counts, for Prometheus. */
export function createMetrics(gauges: { readonly eventListeners: () => number }) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: "devex_http_request_duration_seconds",
    help: "Requests by route pattern, and how long they took",
    labelNames: ["method", "route", "status"],
    buckets,
    registers,
  });
  const refusals = new Counter({
    name: "devex_refusals_total",
    help: "Requests that were answered with a problem, by its code",
    labelNames: ["code"],
    registers,
  });
  const listeners = new Gauge({
    name: "devex_event_listeners",
    help: "Open event streams",
    registers,
  });
  const unsavedAge = new Histogram({
    name: "devex_unsaved_age_seconds",
    help: "How long the oldest unsaved change of a session had waited, at each report of a runner",
    buckets: [0, 1, 5, 10, 15, 20, 30, 60, 300],
    registers,
  });
  const unsavedBytes = new Histogram({
    name: "devex_unsaved_bytes",
    help: "Size of the files of a session that were not saved yet, at each report of a runner",
    buckets: [0, 1024, 65_536, 2 ** 20, 2 ** 24, 2 ** 28, 2 ** 32],
    registers,
  });
  return {
    contentType: registry.contentType,
    render(): Promise<string> {
      listeners.set(gauges.eventListeners());
      return registry.metrics();
    },
    countRequest(method: string, route: string, status: number, seconds: number): void {
      requests.observe({ method, route, status }, seconds);
    },
    observeUnsaved(unsaved: UnsavedWork | undefined): void {
      const age = unsaved ? (Date.now() - Date.parse(unsaved.since)) / 1000 : 0;
      unsavedAge.observe(Math.max(0, age));
      unsavedBytes.observe(unsaved?.bytes ?? 0);
    },
    countRefusal(code: string): void {
      refusals.inc({ code });
    },
  };
}
