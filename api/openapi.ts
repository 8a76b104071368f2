import { OpenAPIHono, type z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import type { Router } from "hono/router";
import type { H, RouterRoute } from "hono/types";
import { ReplError } from "../domain/errors.ts";
import type { Env } from "./env.ts";
import { problemSchema } from "./schemas.ts";

/** An app whose routes are checked by their schemas and described in the OpenAPI document. */
export function createRoutes(router?: Router<[H, RouterRoute]>): OpenAPIHono<Env> {
  return new OpenAPIHono<Env>({
    ...(router ? { router } : {}),
    // Every path is served with and without a slash at its end.
    strict: false,
    defaultHook: (result) => {
      if (result.success) return;
      const wrong = result.error.issues.map(
        (issue) => `${issue.path.join(".") || (result.target === "json" ? "body" : result.target)}: ${issue.message}`,
      );
      throw new ReplError("invalid", wrong.join("; "));
    },
  });
}

export function jsonContent<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { content: { "application/json": { schema } }, description };
}

export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } } as const;
}

const meanings = {
  400: "The request cannot be used; `detail` names each field that is wrong",
  401: "Not signed in",
  403: "Not from a page of ours",
  404: "There is no such REPL, or it is somebody else's",
  409: "Something else runs for this REPL, and `detail` says what. Try again after Retry-After.",
  429: "A quota is used up, or too many requests came; with Retry-After where waiting helps",
  503: "A server that this needs does not answer. Try again after Retry-After.",
} as const;

type ProblemStatus = keyof typeof meanings;
type Problems<Status extends ProblemStatus> = {
  readonly [Key in Status | 429 | 503]: {
    readonly description: string;
    readonly content: { readonly "application/problem+json": { readonly schema: typeof problemSchema } };
  };
};

/** The problems that a route may answer with. Every route may also answer 429 and 503. */
export function problems<Status extends ProblemStatus = never>(...statuses: readonly Status[]): Problems<Status> {
  return Object.fromEntries(
    [...statuses, 429, 503].map((status) => [
      status,
      {
        description: meanings[status as ProblemStatus],
        content: { "application/problem+json": { schema: problemSchema } },
      },
    ]),
  ) as Problems<Status>;
}

/** A body must say that it is JSON: a foreign page cannot send that unasked. */
export const jsonOnly = createMiddleware<Env>(async (c, next) => {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? ""))
    throw new ReplError("invalid", "Content-Type: send application/json");
  await next();
});

export const sessionSecurity = [{ bearer: [] }, { cookie: [] }];
