import { createFetchHttpClient } from "./fetch-http-client.ts";
import { createNodeHttpClient } from "./node-http-client.ts";

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** All of them, Host and Content-Length too. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | undefined;
}

/** One of `body`, `text` and `dump` must be used to its end: the connection is busy until then. */
export interface HttpAnswer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  text(): Promise<string>;
  /** Hears the body out and forgets it. */
  dump(): Promise<void>;
}

/** Throws when the server cannot be connected to, breaks off or is silent; whether to ask again is the caller's to know. */
export type HttpClient = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * Requests to one server over connections that are kept, each runtime's in the way that it is quickest in: Node takes
 * 15 ms to load its fetch, and Bun as long for Node's http (docs/decisions/0027).
 */
export function createHttpClient(server: URL, connections: number): HttpClient {
  return process.versions["bun"] ? createFetchHttpClient(server) : createNodeHttpClient(server, connections);
}
