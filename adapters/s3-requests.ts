import { setTimeout as delay } from "node:timers/promises";
import { ReplError } from "../domain/errors.ts";
import { createHttpClient, type HttpAnswer } from "./http-client.ts";
import { createS3Signer } from "./s3-signer.ts";

export interface S3Options {
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** Requests at once. */
  readonly connections?: number;
}

/** Keys as the SDK names them. */
export interface AccessKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Hex; of the empty body when absent. */
  readonly sha256?: string;
}

const emptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const maximumAttempts = 4;
const firstPauseMs = 100;

/**
 * Signed requests to an S3 server, with retries where a repetition can help. The SDK's own client takes seven
 * times as long for a small object (docs/decisions/0010), and a workspace is mostly those. For keys that run out
 * `currentKeys` is asked before each one.
 */
export function createS3Requests(options: S3Options, currentKeys?: () => Promise<AccessKeys>) {
  const ownKeys = fixedKeys(options);
  const isAws = !options.endpoint;
  const base = new URL(options.endpoint ?? `https://${options.bucket}.s3.${options.region}.amazonaws.com`);
  const pathPrefix = isAws ? "/" : `${base.pathname.replace(/\/$/, "")}/${options.bucket}/`;
  const http = createHttpClient(base, options.connections ?? 32);
  const sign = createS3Signer(options.region);

  async function once({ method, key, query, headers, body, sha256 }: S3Request): Promise<HttpAnswer> {
    const search = query ? `?${queryString(query)}` : "";
    const path = pathPrefix + encodeKey(key) + search;
    const signedHeaders = sign(
      {
        method,
        host: base.host,
        path,
        headers: {
          ...headers,
          "x-amz-content-sha256": sha256 ?? emptySha256,
          ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
        },
      },
      currentKeys ? await currentKeys() : ownKeys,
    );
    return http({ method, path, headers: signedHeaders, body });
  }

  /** The answer, whatever its status, but for those that another try may turn into a good one. */
  async function send(request: S3Request): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt++) {
      const last = attempt === maximumAttempts;
      try {
        const answer = await once(request);
        if (answer.status < 500 && answer.status !== 429) return answer;
        if (last) return answer;
        await answer.dump();
      } catch (error) {
        if (last)
          throw new ReplError(
            "unavailable",
            `${request.method} ${request.key}: the object store does not answer (${reasonOf(error)})`,
            {
              cause: error,
            },
          );
      }
      await delay(firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }

  return {
    send,

    /** Bucket and key of an object, as a copy's source names it. */
    pathOf: (key: string) => `/${options.bucket}/${encodeKey(key)}`,

    /** The answer when its status is one of those; otherwise throws what the status means. */
    async expect(request: S3Request, ...good: readonly number[]): Promise<HttpAnswer> {
      const answer = await send(request);
      if (good.includes(answer.status)) return answer;
      throw await meaningOf(request, answer);
    },
  };
}

async function meaningOf({ method, key }: S3Request, answer: HttpAnswer): Promise<ReplError> {
  const text = await answer.text().catch(() => "");
  const code = textOf(text, "Code") ?? `status ${answer.status}`;
  const what = `${method} ${key}`;
  if (answer.status === 404) return new ReplError("not_found", `${what}: nothing there`);
  if (answer.status === 412 || answer.status === 409)
    return new ReplError("conflict", `${what}: changed by somebody else`);
  if (answer.status === 403)
    return new ReplError("unavailable", `${what}: the object store refuses our keys (${code})`);
  return new ReplError("unavailable", `${what}: the object store answers ${code}`);
}

/** What an element of a small XML answer holds. */
export function textOf(xml: string, element: string): string | undefined {
  return new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
}

const encodeKey = (key: string): string => key.split("/").map(encode).join("/");

const queryString = (query: Readonly<Record<string, string>>): string =>
  Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join("&");

/** As signatures want it (RFC 3986). */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : (error.message.split("\n")[0] ?? error.name);
}

/** Those of the options. */
export function fixedKeys({ accessKey = "", secretKey = "", sessionToken }: S3Options): AccessKeys {
  return { accessKeyId: accessKey, secretAccessKey: secretKey, ...(sessionToken ? { sessionToken } : {}) };
}
