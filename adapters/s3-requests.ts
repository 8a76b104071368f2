import { setTimeout as delay } from "node:timers/promises";
import { errorOf } from "../domain/absence.ts";
import { ReplError } from "../domain/errors.ts";
import { createHttpClient, type HttpAnswer } from "./http-client.ts";
import { refusalOf } from "./s3-answers.ts";
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
  /** Empty for the bucket itself. */
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

  /** What `read` makes of the answer, whatever its status, but for those that another try may turn into a good one. */
  async function retried<T>(request: S3Request, read: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const last = attempt === maximumAttempts;
      try {
        const answer = await once(request);
        if (last || (answer.status < 500 && answer.status !== 429)) return await read(answer);
        await answer.dump();
      } catch (error) {
        if (last) throw brokenOff(whatOf(request), error);
      }
      await delay(firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }

  const ask = (request: S3Request): Promise<WholeAnswer> =>
    retried(request, async ({ status, header, text }) => ({ status, header, text: await text() }));

  return {
    bucket: options.bucket,
    region: options.region,

    /** The answer before its body has come; whoever reads that has to expect it to break off. */
    begin: (request: S3Request): Promise<HttpAnswer> => retried(request, async (answer) => answer),

    /** The whole answer, whatever its status. */
    ask,

    /** The whole answer when its status is one of those; otherwise throws what it means. */
    async expect(request: S3Request, ...good: readonly number[]): Promise<WholeAnswer> {
      const answer = await ask(request);
      if (good.includes(answer.status)) return answer;
      throw errorOf(whatOf(request), refusalOf(answer.status, answer.text));
    },

    /** Bucket and key of an object, as a copy's source names it. */
    pathOf: (key: string) => `/${options.bucket}/${encodeKey(key)}`,
  };
}

export type S3Requests = ReturnType<typeof createS3Requests>;

export interface WholeAnswer extends Pick<HttpAnswer, "status" | "header"> {
  readonly text: string;
}

const whatOf = ({ method, key }: S3Request): string => `${method} ${key || "the bucket"}`;

/** Of a connection that could not be had, or that broke. */
export function brokenOff(what: string, error: unknown): ReplError {
  return new ReplError("unavailable", `${what}: the object store does not answer (${reasonOf(error)})`, {
    cause: error,
  });
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
