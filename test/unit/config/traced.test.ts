import { SpanStatusCode } from "@opentelemetry/api";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { traced } from "../../../config/traced.ts";
import { ReplError } from "../../../domain/errors.ts";

const exporter = new InMemorySpanExporter();
beforeAll(() => new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register());
beforeEach(() => exporter.reset());

const spans = () => exporter.getFinishedSpans();
const port = traced("store", {
  kind: "fake",
  get: async (key: string) => `text of ${key}`,
  put: async (): Promise<string> => {
    throw new ReplError("unavailable", "away");
  },
  parse(): string {
    throw new Error(`not a ${this.kind}`);
  },
  outer: async (): Promise<string> => port.get("a"),
});

describe("a traced port", () => {
  it("answers as it did, and leaves what is no call alone", async () => {
    expect([port.kind, await port.get("a")]).toEqual(["fake", "text of a"]);
    expect(spans().map(({ name }) => name)).toEqual(["store.get"]);
  });

  it("tells of no argument", async () => {
    await port.get("secret");
    expect(JSON.stringify(spans().map(({ name, attributes, events }) => [name, attributes, events]))).not.toContain(
      "secret",
    );
  });

  it.each([
    ["put", "away"],
    ["parse", "not a fake"],
  ] as const)("fails as it did when %s fails, and says why", async (method, message) => {
    await expect((async () => port[method]())()).rejects.toThrow(message);
    expect(spans().map(({ status }) => status)).toEqual([{ code: SpanStatusCode.ERROR, message }]);
  });

  it("has the calls within a call below it", async () => {
    await port.outer();
    const [inner, outer] = spans();
    expect([inner?.name, outer?.name]).toEqual(["store.get", "store.outer"]);
    expect(inner?.parentSpanId).toBe(outer?.spanContext().spanId);
  });
});
