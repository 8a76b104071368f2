import { DefaultLogger, Runtime, type LogEntry } from "@temporalio/worker";
import type { Logger } from "../config/logger.ts";

const levels = { TRACE: "trace", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/**
 * Sends the SDK's own lines and the workflows' into our log, and its metrics to an address where they can be read.
 * Once a process, before anything else of the SDK.
 */
export function installTemporalRuntime(logger: Logger, metricsAddress?: string): void {
  const write = (entry: LogEntry) => logger[levels[entry.level]]({ event: "temporal", ...entry.meta }, entry.message);
  Runtime.install({
    // The program says itself when its worker ends.
    shutdownSignals: [],
    logger: new DefaultLogger("INFO", write),
    telemetryOptions: {
      logging: { forward: {}, filter: { core: "ERROR", other: "ERROR" } },
      ...(metricsAddress
        ? {
            metrics: {
              prometheus: {
                bindAddress: metricsAddress,
                countersTotalSuffix: true,
                useSecondsForDurations: true,
                unitSuffix: true,
              },
            },
          }
        : {}),
    },
  });
}
