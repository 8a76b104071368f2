import { createHash } from "node:crypto";
import { ReplError } from "../domain/errors.ts";
import type { FilePart, FileStore, ObjectFacts, PutCondition, StoredObject } from "../domain/ports.ts";
import type { HttpAnswer } from "./http-client.ts";
import { createS3Requests, textOf, type AccessKeys, type S3Options } from "./s3-requests.ts";

/** Parts of one big file on their way while the next one is read: this bounds the memory. */
const concurrentParts = 1;
/** S3 removes at most this many keys in one request. */
const removeBatch = 1000;

/** What saves and restores need, on any S3 with versioning, conditional writes and SHA-256 checksums. */
export function createS3FileStore(options: S3Options, currentKeys?: () => Promise<AccessKeys>): FileStore {
  const s3 = createS3Requests(options, currentKeys);
  const sha256Of = (body: string | Uint8Array) => createHash("sha256").update(body).digest("hex");

  /** A store that kept other bytes, or that cannot say which it kept, has not saved them. */
  async function checked(key: string, answer: HttpAnswer, wanted: string): Promise<StoredObject> {
    const stored = storedOf(answer);
    await answer.dump();
    const checksum = answer.header("x-amz-checksum-sha256") ?? (await readChecksum(key, stored.version));
    if (checksum !== wanted)
      throw new ReplError(
        "unavailable",
        `${key}: the store's checksum is ${checksum ?? "missing"}, not that of the file`,
      );
    return stored;
  }

  async function readChecksum(key: string, version: string): Promise<string | undefined> {
    const headers = { "x-amz-checksum-mode": "ENABLED" };
    const answer = await s3.expect({ method: "HEAD", key, query: { versionId: version }, headers }, 200);
    await answer.dump();
    return answer.header("x-amz-checksum-sha256");
  }

  /** A HEAD has no body that could say whose 404 it is, so a GET of one byte is asked, which has. */
  async function requireAbsence(key: string, version: string | undefined): Promise<void> {
    const request = { method: "GET", key, headers: { range: "bytes=0-0" }, ...versionQuery(version) } as const;
    const answer = await s3.expect(request, 400, 404);
    requireNoVersion(key, answer, await answer.text());
  }

  async function uploadPart(key: string, upload: string, number: number, { bytes, sha256 }: FilePart): Promise<string> {
    const answer = await s3.expect(
      {
        method: "PUT",
        key,
        query: { partNumber: String(number), uploadId: upload },
        headers: { "x-amz-checksum-sha256": base64Of(sha256) },
        body: bytes,
        sha256,
      },
      200,
    );
    await answer.dump();
    const etag = answer.header("etag") ?? "";
    return `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag><ChecksumSHA256>${base64Of(sha256)}</ChecksumSHA256></Part>`;
  }

  async function complete(key: string, upload: string, parts: readonly string[]): Promise<StoredObject> {
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join("")}</CompleteMultipartUpload>`;
    const query = { uploadId: upload };
    const headers = { "content-type": "application/xml" };
    const answer = await s3.expect({ method: "POST", key, query, headers, body, sha256: sha256Of(body) }, 200);
    const text = await answer.text();
    // S3 begins its answer before it has put the parts together, so a failure can come with status 200.
    if (!/<CompleteMultipartUploadResult/.test(text))
      throw new ReplError(
        "unavailable",
        `${key}: its parts were not put together (${textOf(text, "Code") ?? "no answer"})`,
      );
    return { etag: etagIn(text), version: storedOf(answer).version };
  }

  return {
    async putText(key, text, condition) {
      const headers = { "content-type": "application/json", ...conditionHeaders(condition) };
      const answer = await s3.expect({ method: "PUT", key, headers, body: text, sha256: sha256Of(text) }, 200);
      await answer.dump();
      return storedOf(answer);
    },

    async putFile(key, body, sha256) {
      const checksum = base64Of(sha256);
      const headers = { "x-amz-checksum-sha256": checksum };
      return checked(key, await s3.expect({ method: "PUT", key, headers, body, sha256 }, 200), checksum);
    },

    async putParts(key, parts) {
      const headers = { "x-amz-checksum-algorithm": "SHA256" };
      const begun = await s3.expect({ method: "POST", key, query: { uploads: "" }, headers }, 200);
      const upload = textOf(await begun.text(), "UploadId");
      if (!upload) throw new ReplError("unavailable", `${key}: the store began no upload in parts`);
      try {
        const sent: Promise<string>[] = [];
        for await (const part of parts) {
          const sending = uploadPart(key, upload, sent.length + 1, part);
          sending.catch(() => {});
          sent.push(sending);
          await sent[sent.length - 1 - concurrentParts];
        }
        return await complete(key, upload, await Promise.all(sent));
      } catch (error) {
        await s3.send({ method: "DELETE", key, query: { uploadId: upload } }).then(
          (answer) => answer.dump(),
          () => {},
        );
        throw error;
      }
    },

    async getText(key, version) {
      const answer = await s3.expect({ method: "GET", key, ...versionQuery(version) }, 200, 404, 400);
      const text = await answer.text();
      if (answer.status === 200) return { ...storedOf(answer), text };
      requireNoVersion(key, answer, text);
      return undefined;
    },

    async head(key, version): Promise<ObjectFacts | undefined> {
      const headers = { "x-amz-checksum-mode": "ENABLED" };
      const answer = await s3.expect({ method: "HEAD", key, headers, ...versionQuery(version) }, 200, 400, 404);
      await answer.dump();
      if (answer.status !== 200) {
        await requireAbsence(key, version);
        return undefined;
      }
      const sizeBytes = Number(answer.header("content-length") ?? Number.NaN);
      if (!Number.isSafeInteger(sizeBytes))
        throw new ReplError("unavailable", `HEAD ${key}: the object store does not say how big it is`);
      const checksum = answer.header("x-amz-checksum-sha256");
      const sha256 = checksum && isOfParts(checksum) ? undefined : checksum && hexOf(checksum);
      return { ...storedOf(answer), sizeBytes, ...(sha256 ? { sha256 } : {}) };
    },

    async getStream(key, version) {
      const answer = await s3.expect({ method: "GET", key, ...versionQuery(version) }, 200, 404, 400);
      if (answer.status === 200) return answer.body;
      requireNoVersion(key, answer, await answer.text());
      return undefined;
    },

    async copy(fromKey, toKey, { version, sha256 } = {}) {
      const source = s3.pathOf(fromKey) + (version === undefined ? "" : `?versionId=${encodeURIComponent(version)}`);
      const answer = await s3.expect({ method: "PUT", key: toKey, headers: { "x-amz-copy-source": source } }, 200);
      const text = await answer.text();
      if (!text.includes("<CopyObjectResult"))
        throw new ReplError("unavailable", `copy ${fromKey}: ${textOf(text, "Code") ?? "the store did not finish it"}`);
      const stored = { etag: etagIn(text), version: storedOf(answer).version };
      const checksum = sha256 && (textOf(text, "ChecksumSHA256") ?? (await readChecksum(toKey, stored.version)));
      if (sha256 && checksum !== base64Of(sha256) && !isOfParts(checksum ?? ""))
        throw new ReplError("unavailable", `copy ${fromKey}: the copy's checksum is ${checksum ?? "missing"}`);
      return stored;
    },

    async remove(keys) {
      for (let start = 0; start < keys.length; start += removeBatch) {
        const objects = keys
          .slice(start, start + removeBatch)
          .map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`);
        const body = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects.join("")}</Delete>`;
        const sha256 = sha256Of(body);
        const headers = { "content-type": "application/xml", "x-amz-checksum-sha256": base64Of(sha256) };
        const answer = await s3.expect({ method: "POST", key: "", query: { delete: "" }, headers, body, sha256 }, 200);
        const text = await answer.text();
        const failed = [...text.matchAll(/<Error>(.*?)<\/Error>/gs)].find(
          ([, error = ""]) => textOf(error, "Code") !== "NoSuchKey",
        );
        if (failed)
          throw new ReplError(
            "unavailable",
            `remove ${textOf(failed[1] ?? "", "Key")}: ${textOf(failed[1] ?? "", "Code")}`,
          );
      }
    },
  };
}

function storedOf(answer: HttpAnswer): StoredObject {
  return { etag: answer.header("etag") ?? "", version: answer.header("x-amz-version-id") ?? "null" };
}

function etagIn(xml: string): string {
  return textOf(xml, "ETag")?.replace(/&(quot|#34);/g, '"') ?? "";
}

function versionQuery(version: string | undefined) {
  return version === undefined ? {} : { query: { versionId: version } };
}

/** A version id that no version ever had is, to some stores, an invalid argument. */
function requireNoVersion(key: string, answer: HttpAnswer, text: string): void {
  if (answer.status === 404 || /version/i.test(text)) return;
  throw new ReplError("unavailable", `GET ${key}: the object store answers ${textOf(text, "Code") ?? answer.status}`);
}

function conditionHeaders(condition: PutCondition | undefined): Record<string, string> {
  if (!condition) return {};
  return "ifMatch" in condition ? { "if-match": condition.ifMatch } : { "if-none-match": "*" };
}

/** Such a checksum is made of its parts' checksums, and says nothing of the whole. */
function isOfParts(checksum: string): boolean {
  return /-\d+$/.test(checksum);
}

function hexOf(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}

function base64Of(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"'\u0000-\u001f\u007f]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
