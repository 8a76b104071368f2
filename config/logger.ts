import { trace } from "@opentelemetry/api";
import { pino, type Logger } from "pino";

export type { Logger };

/** JSON lines on standard output. Whatever could open something is redacted by its name, wherever it stands. */
export function createLogger(name: string, level: string): Logger {
  return pino({
    ...common(name, level),
    redact: { paths: secrets.flatMap((secret) => [secret, `*.${secret}`]), censor: "[redacted]" },
  });
}

/** How long a line may wait for others to be written with. */
const longestWaitMs = 200;
const bufferBytes = 8 * 1024;

/**
 * For lines that come by the thousand and whose every field is known and none a secret: they are written
 * together, and not searched for secrets; both cost more than the rest of a look-up.
 */
export function createRequestLogger(name: string, level: string): Logger {
  const destination = pino.destination({ sync: false, minLength: bufferBytes, periodicFlush: longestWaitMs });
  return pino(common(name, level), destination);
}

const secrets = ["token", "ticket", "secretKey", "accessKey", "password", "cookie", "authorization"];

function common(name: string, level: string) {
  // Where a trace is being recorded its id leads from a line to the trace and to the lines of other programs.
  const mixin = () => {
    const span = trace.getActiveSpan();
    return span ? { traceId: span.spanContext().traceId } : {};
  };
  return { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, mixin };
}
