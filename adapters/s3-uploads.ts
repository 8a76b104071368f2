import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  S3ServiceException,
  type ListMultipartUploadsCommandInput,
} from "@aws-sdk/client-s3";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { messageOf, ReplError } from "../domain/errors.ts";
import type { Uploads } from "../domain/ports.ts";
import { fixedKeys, type S3Options } from "./s3-requests.ts";

/** Uploads in parts of a bucket. A store that cannot list them has none to tell of. Throws `unavailable`. */
export function createS3Uploads(options: S3Options): Uploads {
  const Bucket = options.bucket;
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint ? { endpoint: options.endpoint, forcePathStyle: true } : {}),
    credentials: options.accessKey ? fixedKeys(options) : defaultProvider(),
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 3000, requestTimeout: 60_000 },
  });

  async function* begun(): AsyncGenerator<{ key: string; id: string; since: Date }> {
    let marker: Pick<ListMultipartUploadsCommandInput, "KeyMarker" | "UploadIdMarker"> | undefined = {};
    while (marker) {
      const page: Awaited<ReturnType<typeof list>> = await list(marker);
      for (const { Key: key, UploadId: id, Initiated: since } of page.Uploads ?? [])
        if (key !== undefined && id !== undefined && since) yield { key, id, since };
      const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
      marker = page.IsTruncated && KeyMarker ? { KeyMarker, ...(UploadIdMarker ? { UploadIdMarker } : {}) } : undefined;
    }
  }
  const list = (marker: Pick<ListMultipartUploadsCommandInput, "KeyMarker" | "UploadIdMarker">) =>
    client.send(new ListMultipartUploadsCommand({ Bucket, ...marker }));

  return {
    async abort(isOurs, before) {
      try {
        // Gathered before they are ended: ending while paging would move the pages.
        const old: { key: string; id: string }[] = [];
        for await (const upload of begun()) if (isOurs(upload.key) && upload.since < before) old.push(upload);
        for (const { key: Key, id: UploadId } of old)
          await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(unlessEnded);
        return old.length;
      } catch (error) {
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501) return 0;
        throw new ReplError("unavailable", `uploads: the object store does not answer (${messageOf(error)})`, {
          cause: error,
        });
      }
    },
  };
}

function unlessEnded(error: unknown): void {
  if (!(error instanceof S3ServiceException && error.name === "NoSuchUpload")) throw error;
}
