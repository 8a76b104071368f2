import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { messageOf } from "../domain/errors.ts";

const tracer = trace.getTracer("devex");

/**
 * The same port, with a span `<name>.<method>` for each of its calls. No argument of a call is told: some of them are
 * secrets, and some are files.
 */
export function traced<Port extends object>(name: string, port: Port): Port {
  return new Proxy(port, {
    get(target, key, receiver) {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        tracer.startActiveSpan(`${name}.${String(key)}`, { kind: SpanKind.CLIENT }, (span) => {
          const answered = (result: unknown) => {
            span.end();
            return result;
          };
          const failed = (error: unknown) => {
            span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) }).end();
            throw error;
          };
          try {
            const result: unknown = Reflect.apply(member, target, args);
            return result instanceof Promise ? result.then(answered, failed) : answered(result);
          } catch (error) {
            return failed(error);
          }
        });
    },
  });
}
