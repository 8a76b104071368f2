import type { InferResponseType } from "hono/client";
import { createApiClient, type ApiClient } from "../api/client.ts";

/** A user of the HTTP API, as the demo, the tests and the benches play one. */

export type Person = Awaited<ReturnType<typeof signIn>>;
export type ReplAnswer = InferResponseType<ApiClient["api"]["repl"][":id"]["$get"], 200>;

/** Signs in by the development login. Every call throws an error with the problem's text unless it succeeds. */
export async function signIn(baseUrl: string, login: string) {
  const { token, user } = await succeeded(createApiClient(baseUrl).auth.dev.$post({ json: { login } }));
  const { repl } = createApiClient(baseUrl, { token }).api;
  const of = (id: string) => ({ param: { id } });

  return {
    login,
    userId: String(user.id),
    token,
    list: () => succeeded(repl.$get()),
    get: (id: string) => succeeded(repl[":id"].$get(of(id))),
    create: (template: string, name: string, header: { "idempotency-key"?: string } = {}): Promise<ReplAnswer> =>
      succeeded(repl.create.$post({ json: { template, name }, header })),
    /** Answers as soon as a place is taken. */
    startCreate: (template: string, name: string): Promise<ReplAnswer> =>
      succeeded(repl.create.$post({ json: { template, name }, header: { prefer: "respond-async" } })),
    open: async (id: string) => {
      const answer = await succeeded(repl.session[":id"].$post({ ...of(id), header: {} }));
      if (!("ticket" in answer)) throw new Error("an open that waits is answered with a ticket");
      return answer;
    },
    copy: (from: { replId: string; generation?: number }, name: string): Promise<ReplAnswer> =>
      succeeded(repl.create.$post({ json: { from, name }, header: {} })),
    saves: (id: string) => succeeded(repl[":id"].saves.$get({ ...of(id), query: {} })),
    goBack: (id: string, generation: number, path?: string) =>
      succeeded(
        repl[":id"].saves[":generation"].restore.$post({
          param: { id, generation: String(generation) },
          json: path === undefined ? {} : { path },
        }),
      ),
    close: (id: string) => succeeded(repl.session[":id"].$delete(of(id))),
    remove: (id: string) => succeeded(repl[":id"].$delete(of(id))),
  };
}

type Success<Answer> = Extract<Answer, { readonly ok: true }> extends { json(): Promise<infer Body> } ? Body : never;

async function succeeded<Answer extends Pick<Response, "ok" | "status" | "url" | "text">>(
  call: Promise<Answer>,
): Promise<Success<Answer>> {
  const response = await call;
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`);
  return JSON.parse(text) as Success<Answer>;
}
