import type { InferResponseType } from "hono/client";
import { createApiClient, type ApiClient } from "../api/client.ts";

/** The API that serves this page, as the signed-in user. */
export const api: ApiClient = createApiClient(location.origin, { init: { credentials: "same-origin" } });

export type Repl = InferResponseType<ApiClient["api"]["repl"][":id"]["$get"], 200>;
export type Template = InferResponseType<ApiClient["api"]["templates"]["$get"], 200>[number];
export type AuthStatus = InferResponseType<ApiClient["auth"]["status"]["$get"], 200>;
export type Limits = InferResponseType<ApiClient["api"]["limits"]["$get"], 200>;
export type Room = Extract<
  InferResponseType<ApiClient["api"]["repl"]["session"][":id"]["$post"], 200>,
  { readonly ticket: string }
>;
export type Save = InferResponseType<ApiClient["api"]["repl"][":id"]["saves"]["$get"], 200>["saves"][number];
export type SaveFiles = InferResponseType<
  ApiClient["api"]["repl"][":id"]["saves"][":generation"]["files"]["$get"],
  200
>;

/** What the API refused; its message may be shown. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  json(): Promise<unknown>;
}

type GoodBody<Response> = Response extends { readonly ok: true; json(): Promise<infer Body> } ? Body : never;

/** The body of a good answer. Throws a Problem whose message says what happened and what to do. */
export async function bodyOf<Response extends Answer>(request: Promise<Response>): Promise<GoodBody<Response>> {
  let answer: Response;
  try {
    answer = await request;
  } catch {
    throw new Problem("The server cannot be reached. Look at your connection and try again.", 0);
  }
  if (answer.ok) return (await answer.json()) as GoodBody<Response>;
  const body = await answer.json().catch(() => undefined);
  const { detail, requestId } = (body ?? {}) as Readonly<Record<string, string | undefined>>;
  const sentence = detail ?? `The server answered ${answer.status}. Try again in a moment.`;
  throw new Problem(answer.status >= 500 && requestId ? `${sentence} (request ${requestId})` : sentence, answer.status);
}
