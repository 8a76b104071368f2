import { randomUUID } from "node:crypto";
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, it } from "vitest";
import { createS3Uploads } from "../../adapters/s3-uploads.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";

describe("uploads in parts, on a real store", () => {
  const { endpoint, region, bucket: Bucket, accessKey, secretKey } = stackObjectStore();
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  afterAll(() => client.destroy());

  it("are ended when they were begun before, and no others", async () => {
    const prefix = `ada/repl-${randomUUID().slice(0, 8)}/`;
    const begun = async () =>
      ((await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix }))).Uploads ?? [])
        .map(({ Key }) => Key)
        .sort();
    const keys = [`${prefix}a`, `${prefix}b`];
    for (const Key of keys) await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    expect(await begun()).toEqual(keys);
    const uploads = createS3Uploads(stackObjectStore());
    const isOurs = (key: string) => key === keys[0];
    expect(await uploads.abort(isOurs, new Date(Date.now() - 3_600_000))).toBe(0);
    expect(await uploads.abort(isOurs, new Date(Date.now() + 3_600_000))).toBe(1);
    expect(await begun()).toEqual([keys[1]]);
    await uploads.abort((key) => key.startsWith(prefix), new Date(Date.now() + 3_600_000));
    expect(await begun()).toEqual([]);
  });
});
