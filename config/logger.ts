import { trace } from "@opentelemetry/api";
import { pino, type Logger } from "pino";

export type { Logger };

/**
 * JSON lines on standard output. Whatever could open something is redacted by its name, wherever it stands. Where
 * traces are recorded, a line's `traceId` leads to the trace and to the lines of other programs.
 */
export function createLogger(name: string, level: string, isTraced = false): Logger {
  return pino({
    ...common(name, level, isTraced),
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
export function createRequestLogger(name: string, level: string, isTraced = false): Logger {
  const destination = pino.destination({ sync: false, minLength: bufferBytes, periodicFlush: longestWaitMs });
  return pino(common(name, level, isTraced), destination);
}

const secrets = ["token", "ticket", "secretKey", "accessKey", "password", "cookie", "authorization"];

function common(name: string, level: string, isTraced: boolean) {
  const options = { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime };
  return isTraced ? { ...options, mixin: traceOfLine } : options;
}

function traceOfLine(): object {
  const span = trace.getActiveSpan();
  return span ? { traceId: span.spanContext().traceId } : {};
}
