import { createHash } from "node:crypto";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { errorOf, isAbsence, requireSentinel } from "../domain/absence.ts";
import { ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { ListedVersion, ObjectStore } from "../domain/ports.ts";
import { refusalOf, storedOf } from "./s3-answers.ts";
import { deleteObjects } from "./s3-deletion.ts";
import { createFileStoreOver } from "./s3-file-store.ts";
import { listPages, versionPages } from "./s3-listing.ts";
import { createS3Requests, type S3Options } from "./s3-requests.ts";
import { withinTime } from "./within-time.ts";

const checkPatienceMs = 2000;
/** Where AWS puts a bucket that names no place. */
const defaultRegion = "us-east-1";

/**
 * The whole object store. Without keys in the options those of the machine's role are used, which the SDK finds and
 * renews.
 */
export function createS3ObjectStore(options: S3Options): ObjectStore {
  const s3 = createS3Requests({ connections: 64, ...options }, options.accessKey ? undefined : defaultProvider());
  const files = createFileStoreOver(s3);

  /** Only the store's own word that there is no bucket is one. */
  async function bucketExists(): Promise<boolean> {
    const { status, text } = await s3.ask({ method: "GET", key: "", query: { "list-type": "2", "max-keys": "1" } });
    if (status === 404 && refusalOf(status, text).code === "NoSuchBucket") return false;
    await requireBucket();
    return true;
  }

  async function requireBucket(): Promise<void> {
    await listPages(s3, objectKey.registryHome).next();
  }

  async function createBucket(): Promise<void> {
    const body =
      s3.region === defaultRegion
        ? ""
        : `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${s3.region}</LocationConstraint></CreateBucketConfiguration>`;
    await configure("create the bucket", {}, body).catch(ignoreConflict);
  }

  /** Done is answered by no words at all. */
  async function configure(what: string, query: Readonly<Record<string, string>>, body: string): Promise<void> {
    const { text } = await s3.expect({ method: "PUT", key: "", query, ...signedBody(body) }, 200);
    if (text.trim() !== "") throw errorOf(what, refusalOf(200, text));
  }

  async function* listVersions(prefix: string): AsyncGenerator<readonly ListedVersion[]> {
    let isEmpty = true;
    for await (const page of versionPages(s3, prefix)) {
      isEmpty &&= page.length === 0;
      yield page;
    }
    if (isEmpty) await requireSentinel(files, prefix);
  }

  return {
    ...files,

    async prepare({ mayCreate = true } = {}) {
      if (!(await bucketExists())) {
        if (!mayCreate)
          throw new ReplError(
            "unavailable",
            `the bucket ${s3.bucket} does not exist, and none may be made now: is it the right one, and is its disk there?`,
          );
        await createBucket();
      }
      const body = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`;
      await configure("switch versioning on", { versioning: "" }, body);
    },

    async list(prefix, { unproven = false } = {}) {
      const keys: string[] = [];
      for await (const page of listPages(s3, prefix)) keys.push(...page.keys);
      if (keys.length === 0 && !unproven) await requireSentinel(files, prefix);
      return keys;
    },

    async folders(prefix) {
      const folders: string[] = [];
      let isEmpty = true;
      for await (const page of listPages(s3, prefix, "/")) {
        folders.push(...page.prefixes);
        isEmpty &&= page.keys.length + page.prefixes.length === 0;
      }
      if (isEmpty) await requireSentinel(files, prefix);
      return folders;
    },

    async getHead(key, bytes) {
      const what = `GET ${key}`;
      const answer = await s3.ask({ method: "GET", key, headers: { range: `bytes=0-${bytes - 1}` } });
      if (answer.status === 200 || answer.status === 206) {
        storedOf(what, answer);
        return answer.text;
      }
      const refusal = refusalOf(answer.status, answer.text);
      if (!isAbsence(refusal)) throw errorOf(what, refusal);
      return undefined;
    },

    listVersions,

    removeVersions: (versions) =>
      deleteObjects(
        s3,
        versions.map(({ key, version }) => ({ key, version })),
      ),

    async purge(prefix) {
      // Gathered before they are deleted: deleting while paging would move the pages.
      const versions: ListedVersion[] = [];
      for await (const page of listVersions(prefix)) versions.push(...page);
      await deleteObjects(
        s3,
        versions.map(({ key, version }) => ({ key, version })),
      );
    },

    async check() {
      const late = () => Promise.reject(new ReplError("unavailable", "the object store does not answer in time"));
      await withinTime(checkPatienceMs, requireBucket, late);
    },
  };
}

function signedBody(body: string) {
  const digest = createHash("sha256").update(body).digest();
  const headers = { "content-type": "application/xml", "x-amz-checksum-sha256": digest.toString("base64") };
  return { headers, body, sha256: digest.toString("hex") };
}

function ignoreConflict(error: unknown): void {
  if (!(error instanceof ReplError && error.code === "conflict")) throw error;
}
