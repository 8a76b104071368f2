import { pino, type Logger } from "pino";

export type { Logger };

/** JSON lines on standard output. Whatever could open something is redacted by its name, wherever it stands. */
export function createLogger(name: string, level: string): Logger {
  const secrets = ["token", "ticket", "secretKey", "accessKey", "password", "cookie", "authorization"];
  return pino({
    name,
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secrets.flatMap((secret) => [secret, `*.${secret}`]), censor: "[redacted]" },
  });
}
