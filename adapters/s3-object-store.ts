import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  type DeleteMarkerEntry,
  type ObjectVersion,
  PutBucketVersioningCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { ReplError } from "../domain/errors.ts";
import type { ListedVersion, ObjectStore } from "../domain/ports.ts";
import { createS3FileStore } from "./s3-file-store.ts";
import { fixedKeys, type S3Options } from "./s3-requests.ts";

/** S3 deletes at most this many keys in one request. */
const deleteBatch = 1000;

/**
 * The whole object store: the SDK's client for what is done to buckets and listings, signed requests for files and
 * texts. Without keys in the options those of the machine's role are used, which the SDK finds and renews.
 */
export function createS3ObjectStore(options: S3Options): ObjectStore {
  const bucket = options.bucket;
  const currentKeys = options.accessKey ? undefined : defaultProvider();
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint ? { endpoint: options.endpoint, forcePathStyle: true } : {}),
    credentials: currentKeys ?? fixedKeys(options),
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

  /** Keys under a prefix and, with a delimiter, the prefixes that stand for all keys below them. */
  async function* pages(prefix: string, delimiter?: "/"): AsyncGenerator<{ keys: string[]; prefixes: string[] }> {
    let token: string | undefined;
    do {
      const page = await attempt(`list ${prefix}`, () =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            ...(delimiter ? { Delimiter: delimiter } : {}),
            ...(token ? { ContinuationToken: token } : {}),
          }),
        ),
      );
      yield {
        keys: (page.Contents ?? []).flatMap((object) => object.Key ?? []),
        prefixes: (page.CommonPrefixes ?? []).flatMap((common) => common.Prefix ?? []),
      };
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

  async function* listVersions(prefix: string): AsyncGenerator<readonly ListedVersion[]> {
    let marker: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (marker) {
      const current: { KeyMarker?: string; VersionIdMarker?: string } = marker;
      const page = await attempt(`list ${prefix}`, () =>
        client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...current })),
      );
      const listed = (isMarker: boolean) => (entry: ObjectVersion | DeleteMarkerEntry) => {
        const { Key: key, VersionId: version = "null", LastModified: modifiedAt = new Date() } = entry;
        return key === undefined ? [] : [{ key, version, modifiedAt, isMarker }];
      };
      yield [...(page.Versions ?? []).flatMap(listed(false)), ...(page.DeleteMarkers ?? []).flatMap(listed(true))];
      marker =
        page.IsTruncated && page.NextKeyMarker
          ? {
              KeyMarker: page.NextKeyMarker,
              ...(page.NextVersionIdMarker ? { VersionIdMarker: page.NextVersionIdMarker } : {}),
            }
          : undefined;
    }
  }

  return {
    ...createS3FileStore(options, currentKeys),

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

    async list(prefix) {
      const keys: string[] = [];
      for await (const page of pages(prefix)) keys.push(...page.keys);
      return keys;
    },

    async folders(prefix) {
      const folders: string[] = [];
      for await (const page of pages(prefix, "/")) folders.push(...page.prefixes);
      return folders;
    },

    getHead: (key, bytes) =>
      attempt(
        `read ${key}`,
        async () => {
          const range = `bytes=0-${bytes - 1}`;
          const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }));
          return answer.Body?.transformToString();
        },
        { value: undefined },
      ),

    listVersions,

    removeVersions: (versions) => deleteObjects(versions.map(({ key, version }) => ({ Key: key, VersionId: version }))),

    async purge(prefix) {
      // Gathered before they are deleted: deleting while paging would move the pages.
      const versions: ListedVersion[] = [];
      for await (const page of listVersions(prefix)) versions.push(...page);
      await deleteObjects(versions.map(({ key, version }) => ({ Key: key, VersionId: version })));
    },

    async check() {
      await attempt("find the bucket", () =>
        client.send(new HeadBucketCommand({ Bucket: bucket }), { requestTimeout: 2000 }),
      );
    },
  };
}

/** A version id that no version ever had is, to some stores, an invalid argument. */
function isUnknownVersion(error: S3ServiceException): boolean {
  return error.name === "NoSuchVersion" || (error.name === "InvalidArgument" && /version/i.test(error.message));
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
