import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { messageOf } from "../domain/errors.ts";

const tracer = trace.getTracer("devex");

/**
 * The same port, with a span for each of its calls that answers with a promise, named `<name>.<method>`. No argument
 * of a call is told: some of them are secrets, and some are files.
 */
export function traced<Port extends object>(name: string, port: Port): Port {
  return new Proxy(port, {
    get(target, key, receiver) {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        tracer.startActiveSpan(`${name}.${String(key)}`, { kind: SpanKind.CLIENT }, (span) => {
          let result: unknown;
          try {
            result = Reflect.apply(member, target, args);
          } catch (error) {
            span.end();
            throw error;
          }
          if (!(result instanceof Promise)) {
            span.end();
            return result;
          }
          return result
            .catch((error: unknown) => {
              span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
              throw error;
            })
            .finally(() => span.end());
        });
    },
  });
}
