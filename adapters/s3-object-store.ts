import type { Readable } from "node:stream";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { ReplError } from "../domain/errors.ts";
import type { FileBody, ObjectStore, PutCondition, StoredObject } from "../domain/ports.ts";

export interface S3Options {
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string | undefined;
}

/** S3 deletes at most this many keys in one request. */
const deleteBatch = 1000;

/** The object store on any S3 with versioning, conditional writes and SHA-256 checksums. */
export function createS3ObjectStore(options: S3Options): ObjectStore {
  const bucket = options.bucket;
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint ? { endpoint: options.endpoint, forcePathStyle: true } : {}),
    credentials: {
      accessKeyId: options.accessKey,
      secretAccessKey: options.secretKey,
      ...(options.sessionToken ? { sessionToken: options.sessionToken } : {}),
    },
    maxAttempts: 3,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: 3000,
      requestTimeout: 60_000,
      httpsAgent: { maxSockets: 64 },
      httpAgent: { maxSockets: 64, keepAlive: true },
    },
  });

  /** Translates the SDK's errors at the border; `missing` is the answer where nothing being there is no error. */
  async function attempt<T>(what: string, call: () => Promise<T>, missing?: { value: T }): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof S3ServiceException) {
        const status = error.$metadata.httpStatusCode;
        if (missing && (status === 404 || isUnknownVersion(error))) return missing.value;
        if (status === 404) throw new ReplError("not_found", `${what}: nothing there`, { cause: error });
        if (status === 412 || status === 409)
          throw new ReplError("conflict", `${what}: changed by somebody else`, { cause: error });
        if (status === 403)
          throw new ReplError("unavailable", `${what}: the object store refuses our keys (${error.name})`, {
            cause: error,
          });
      }
      throw new ReplError("unavailable", `${what}: the object store does not answer (${reasonOf(error)})`, {
        cause: error,
      });
    }
  }

  const stored = (answer: {
    ETag?: string | undefined;
    VersionId?: string | undefined;
    CopyObjectResult?: { ETag?: string | undefined } | undefined;
  }): StoredObject => ({
    etag: answer.ETag ?? answer.CopyObjectResult?.ETag ?? "",
    version: answer.VersionId ?? "null",
  });

  async function* pages(prefix: string): AsyncGenerator<string[]> {
    let token: string | undefined;
    do {
      const page = await attempt(`list ${prefix}`, () =>
        client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token ? { ContinuationToken: token } : {}) }),
        ),
      );
      yield (page.Contents ?? []).flatMap((object) => object.Key ?? []);
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token);
  }

  async function deleteObjects(objects: { Key: string; VersionId?: string }[]): Promise<void> {
    for (let start = 0; start < objects.length; start += deleteBatch) {
      const batch = objects.slice(start, start + deleteBatch);
      const answer = await attempt("delete objects", () =>
        client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: batch, Quiet: true } })),
      );
      const failed = answer.Errors?.find((error) => error.Code !== "NoSuchKey" && error.Code !== "NoSuchVersion");
      if (failed) throw new ReplError("unavailable", `delete ${failed.Key}: ${failed.Code}`);
    }
  }

  return {
    async prepare() {
      const exists = await attempt(
        "find the bucket",
        () => client.send(new HeadBucketCommand({ Bucket: bucket })).then(() => true),
        { value: false },
      );
      if (!exists)
        await attempt("create the bucket", () => client.send(new CreateBucketCommand({ Bucket: bucket }))).catch(
          ignoreConflict,
        );
      await attempt("switch versioning on", () =>
        client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: "Enabled" } })),
      );
    },

    putText: (key, text, condition) =>
      attempt(`write ${key}`, async () =>
        stored(
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: key,
              Body: text,
              ContentType: "application/json",
              ...conditionHeaders(condition),
            }),
          ),
        ),
      ),

    putFile: (key, body, sha256) =>
      attempt(`write ${key}`, async () => {
        const file = isFileBody(body)
          ? { Body: body.open() as Readable, ContentLength: body.sizeBytes }
          : { Body: body, ContentLength: body.byteLength };
        return stored(
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: key,
              ...file,
              ChecksumSHA256: Buffer.from(sha256, "hex").toString("base64"),
            }),
          ),
        );
      }),

    getText: (key, version) =>
      attempt(
        `read ${key}`,
        async () => {
          const answer = await client.send(
            new GetObjectCommand({ Bucket: bucket, Key: key, ...(version ? { VersionId: version } : {}) }),
          );
          return { ...stored(answer), text: (await answer.Body?.transformToString()) ?? "" };
        },
        { value: undefined },
      ),

    getStream: (key, version) =>
      attempt(
        `read ${key}`,
        async () => {
          const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: version }));
          return answer.Body as Readable;
        },
        { value: undefined },
      ),

    copy: (fromKey, toKey) =>
      attempt(`copy ${fromKey}`, async () => {
        const source = `${bucket}/${fromKey}`.split("/").map(encodeURIComponent).join("/");
        return stored(await client.send(new CopyObjectCommand({ Bucket: bucket, CopySource: source, Key: toKey })));
      }),

    async list(prefix) {
      const keys: string[] = [];
      for await (const page of pages(prefix)) keys.push(...page);
      return keys;
    },

    remove: (keys) => deleteObjects(keys.map((Key) => ({ Key }))),

    async purge(prefix) {
      // Keys are gathered before they are deleted: deleting while paging would move the pages.
      const versions: { Key: string; VersionId?: string }[] = [];
      let marker: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
      while (marker) {
        const current: { KeyMarker?: string; VersionIdMarker?: string } = marker;
        const page = await attempt(`list ${prefix}`, () =>
          client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...current })),
        );
        for (const entry of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
          if (entry.Key) versions.push({ Key: entry.Key, ...(entry.VersionId ? { VersionId: entry.VersionId } : {}) });
        }
        marker =
          page.IsTruncated && page.NextKeyMarker
            ? {
                KeyMarker: page.NextKeyMarker,
                ...(page.NextVersionIdMarker ? { VersionIdMarker: page.NextVersionIdMarker } : {}),
              }
            : undefined;
      }
      await deleteObjects(versions);
    },

    async check() {
      await attempt("find the bucket", () =>
        client.send(new HeadBucketCommand({ Bucket: bucket }), { requestTimeout: 2000 }),
      );
    },
  };
}

function conditionHeaders(condition: PutCondition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (!condition) return {};
  return "ifMatch" in condition ? { IfMatch: condition.ifMatch } : { IfNoneMatch: "*" };
}

/** A version id that no version ever had is, to some stores, an invalid argument. */
function isUnknownVersion(error: S3ServiceException): boolean {
  return error.name === "NoSuchVersion" || (error.name === "InvalidArgument" && /version/i.test(error.message));
}

function isFileBody(body: Uint8Array | FileBody): body is FileBody {
  return "open" in body;
}

function ignoreConflict(error: unknown): void {
  if (!(error instanceof ReplError && error.code === "conflict")) throw error;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return typeof code === "string"
    ? code
    : error.name === "AggregateError"
      ? "no connection"
      : error.message.split("\n")[0] || error.name;
}
