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

/** How long a line may wait for others to be written with, and how much may. */
const longestWaitMs = 200;
const batchCharacters = 32 * 1024;

/**
 * For lines that come by the thousand and whose every field is known and none a secret: they are written
 * together, and not searched for secrets; both cost more than the rest of a look-up.
 */
export function createRequestLogger(name: string, level: string, isTraced = false): Logger {
  return pino(common(name, level, isTraced), inBatches(pino.destination({ sync: false })));
}

/** Lines wait here and not in the destination, which with each line measures again all that waits there. */
function inBatches(destination: ReturnType<typeof pino.destination>) {
  let waiting = "";
  function pass() {
    if (waiting) destination.write(waiting);
    waiting = "";
  }
  setInterval(pass, longestWaitMs).unref();
  process.once("exit", () => {
    pass();
    destination.flushSync();
  });
  return {
    write(line: string) {
      waiting += line;
      if (waiting.length >= batchCharacters) pass();
    },
  };
}

const secrets = ["token", "ticket", "secretKey", "accessKey", "password", "cookie", "authorization"];

function common(name: string, level: string, isTraced: boolean) {
  const options = { name, level, base: { name }, timestamp };
  return isTraced ? { ...options, mixin: traceOfLine } : options;
}

let written = { at: 0, text: "" };

/** As pino's isoTime, made once a millisecond. */
function timestamp(): string {
  const at = Date.now();
  if (at !== written.at) written = { at, text: `,"time":"${new Date(at).toISOString()}"` };
  return written.text;
}

function traceOfLine(): object {
  const span = trace.getActiveSpan();
  return span ? { traceId: span.spanContext().traceId } : {};
}
