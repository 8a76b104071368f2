import { trace } from "@opentelemetry/api";
import { pino, type Logger } from "pino";

export type { Logger };

/**
 * JSON lines on standard output. Whatever could open something is redacted by its name, wherever it stands. Where
 * traces are recorded, a line's `traceId` leads to the trace and to the lines of other programs.
 */
export function createLogger(name: string, level: string, isTraced = false): Logger {
  return pino({
    name,
    level,
    base: { name },
    timestamp,
    ...(isTraced ? { mixin: traceOfLine } : {}),
    redact: { paths: secrets.flatMap((secret) => [secret, `*.${secret}`]), censor: "[redacted]" },
  });
}

/** How long a line may wait for others to be written with, and how much may. */
const longestWaitMs = 200;
const batchCharacters = 32 * 1024;

/** Says one line, of fields that are known and none a secret. */
export type Log = (fields: { readonly event: string; readonly [field: string]: unknown }) => void;

/**
 * For lines that come by the thousand: they are written together, and neither searched for secrets nor made by
 * pino, which makes room for what these do not have; each of that costs more than the rest of a look-up.
 */
export function createRequestLog(name: string, level: string, isTraced = false): Log {
  const { info = 0, [level]: least = Infinity } = pino.levels.values;
  if (info < least) return () => {};
  const say = inBatches(pino.destination({ sync: false }));
  const start = `{"level":${info}`;
  const named = `,"name":${JSON.stringify(name)},`;
  return (fields) => {
    const all = isTraced ? { ...traceOfLine(), ...fields } : fields;
    say(`${start}${timestamp()}${named}${JSON.stringify(all).slice(1)}\n`);
  };
}

/** Lines wait here and not in the destination, which with each line measures again all that waits there. */
function inBatches(destination: ReturnType<typeof pino.destination>): (line: string) => void {
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
  return (line) => {
    waiting += line;
    if (waiting.length >= batchCharacters) pass();
  };
}

const secrets = ["token", "ticket", "secretKey", "accessKey", "password", "cookie", "authorization"];

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
