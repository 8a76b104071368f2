import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { ReplError } from "../domain/errors.ts";
import type { Session } from "../domain/repl.ts";

export type RunnerTokens = ReturnType<typeof createRunnerTokens>;

/**
 * Tokens with which a session's runner speaks for this one session: its id with a signature. They can be made
 * again from the id, so nothing is stored.
 */
export function createRunnerTokens(secrets: readonly string[]) {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync("sha256", secret, "", "devex runner tokens", 32)));
  const sign = (key: Buffer, about: string) => createHmac("sha256", key).update(about).digest("base64url");

  return {
    issue({ replId, userId, id }: Session): string {
      const about = `${replId}.${userId}.${id}`;
      return `${about}.${sign(keys[0] as Buffer, about)}`;
    },

    /** Throws `unauthorized` unless it is a token of ours for a session of this REPL. */
    verify(token: string, replId: string): Session {
      const [claimed = "", userId = "", id = "", signature = "", ...rest] = token.split(".");
      const given = Buffer.from(signature);
      const isOurs = keys.some((key) => {
        const expected = Buffer.from(sign(key, `${claimed}.${userId}.${id}`));
        return expected.length === given.length && timingSafeEqual(expected, given);
      });
      if (!isOurs || rest.length > 0 || claimed !== replId)
        throw new ReplError("unauthorized", "This needs the token of the REPL's runner.");
      return { id, replId, userId };
    },
  };
}
