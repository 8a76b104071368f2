import type { OpenTelemetryPlugin } from "@temporalio/interceptors-opentelemetry";
import { traced } from "./traced.ts";

export interface Tracing {
  readonly isOn: boolean;
  /** For the client and the worker of Temporal: they carry a trace from who starts a workflow to its activities. */
  readonly plugins: OpenTelemetryPlugin[];
  /** A port whose calls are spans named `<name>.<method>`. */
  traced<Port extends object>(name: string, port: Port): Port;
  /** Sends what is left. */
  stop(): Promise<void>;
}

const off: Tracing = { isOn: false, plugins: [], traced: (_name, port) => port, stop: async () => {} };

interface TracingOptions {
  readonly service: string;
  readonly version: string;
  /** Of an OpenTelemetry collector that takes OTLP by HTTP. */
  readonly endpoint: string | undefined;
}

/**
 * Sends this process's spans to a collector, where there is one; a lost one costs spans and nothing else. What is
 * sampled, and how it is sent, follow OpenTelemetry's own variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, …).
 */
export async function startTracing({ service, version, endpoint }: TracingOptions): Promise<Tracing> {
  if (!endpoint) return off;
  // Loaded here: whoever has no collector needs none of it.
  const [{ OTLPTraceExporter }, { Resource }, { BatchSpanProcessor, NodeTracerProvider }, { OpenTelemetryPlugin }] =
    await Promise.all([
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/sdk-trace-node"),
      import("@temporalio/interceptors-opentelemetry"),
    ]);
  const resource = new Resource({ "service.name": service, "service.version": version });
  const spanProcessor = new BatchSpanProcessor(
    new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` }),
  );
  const provider = new NodeTracerProvider({ resource, spanProcessors: [spanProcessor] });
  provider.register();
  return {
    isOn: true,
    plugins: [new OpenTelemetryPlugin({ resource, spanProcessor })],
    traced,
    stop: () => provider.shutdown(),
  };
}
