import { hc } from "hono/client";
import type { AppType } from "./app.ts";

/**
 * A client of this API, typed by its routes, for front ends and tools. With `token` it signs its requests;
 * a browser that has the session cookie sends `init: { credentials: "include" }` instead.
 */
export function createApiClient(
  baseUrl: string,
  options: { readonly token?: string; readonly init?: RequestInit } = {},
) {
  const { token, init } = options;
  return hc<AppType>(baseUrl, {
    ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
    ...(init ? { init } : {}),
  });
}

export type ApiClient = ReturnType<typeof createApiClient>;
