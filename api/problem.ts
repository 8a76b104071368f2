import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ReplError, type ReplErrorCode } from "../domain/errors.ts";
import type { Env } from "./env.ts";

interface Kind {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly retryAfterSeconds?: number;
}

/** The compiler asks for every code. */
const kinds: Readonly<Record<ReplErrorCode, Kind>> = {
  invalid: { status: 400, title: "Invalid request" },
  unauthorized: { status: 401, title: "Not signed in" },
  forbidden: { status: 403, title: "Forbidden" },
  not_found: { status: 404, title: "Not found" },
  conflict: { status: 409, title: "Conflict", retryAfterSeconds: 2 },
  quota_exceeded: { status: 429, title: "Quota exceeded" },
  unavailable: { status: 503, title: "Temporarily unavailable", retryAfterSeconds: 5 },
};

/** Answers with an RFC 9457 problem; `error` repeats `detail` for the front end that reads it. */
export function problem(c: Context<Env>, error: unknown): Response {
  const { status, title, type, detail, retryAfterSeconds } = describe(error);
  const requestId = c.get("requestId");
  if (retryAfterSeconds) c.header("Retry-After", String(retryAfterSeconds));
  if (status >= 500) c.get("logger").error({ event: "error", requestId, err: error });
  return c.body(JSON.stringify({ type, title, status, detail, error: detail, requestId }), status, {
    "content-type": "application/problem+json",
  });
}

function describe(error: unknown): Kind & { readonly type: string; readonly detail: string } {
  if (error instanceof ReplError) {
    const kind = kinds[error.code];
    return { ...kind, type: `urn:devex:problem:${error.code}`, detail: error.message };
  }
  if (error instanceof HTTPException && error.status < 500) {
    return {
      status: error.status,
      title: "Invalid request",
      type: "urn:devex:problem:invalid",
      // The only ones that come from below: a body that is not JSON.
      detail: `body: ${error.message || "it cannot be read"}`,
    };
  }
  return {
    status: 500,
    title: "Internal error",
    type: "about:blank",
    detail: "Something went wrong on our side. Quote the request id when you ask for help.",
  };
}
