import type { Context } from "hono";
import type { RunnerTokens } from "../../config/runner-tokens.ts";
import type { ReplId, Session } from "../../domain/repl.ts";
import type { Env } from "../env.ts";
import type { RateLimits } from "../rate-limits.ts";
import { bearerOf } from "./require-session.ts";

export interface RunnerSessionOptions {
  readonly runnerTokens: RunnerTokens;
  readonly limits: RateLimits;
}

/** What routes for a session's own containers have in common in the OpenAPI document. */
export const forRunners = { tags: ["Runner"], security: [{ runner: [] }] };

/** The session that a request's token speaks for. Throws `unauthorized` unless it is one of this REPL. */
export function runnerSessions({ runnerTokens, limits }: RunnerSessionOptions) {
  return (c: Context<Env>, replId: ReplId): Promise<Session> =>
    limits.admit(c, async () => runnerTokens.verify(bearerOf(c) ?? "", replId));
}
