import { createHash } from "node:crypto";
import { errorOf, isAbsence } from "../domain/absence.ts";
import { ReplError } from "../domain/errors.ts";
import type { FilePart, FileStore, ObjectFacts, PutCondition, StoredObject } from "../domain/ports.ts";
import { refusalOf, requireDocument, storedOf, textOf, versionOf } from "./s3-answers.ts";
import { deleteObjects } from "./s3-deletion.ts";
import { brokenOff, createS3Requests, type AccessKeys, type S3Options, type S3Requests } from "./s3-requests.ts";

/** Parts of one big file on their way while the next one is read: this bounds the memory. */
const concurrentParts = 1;
const checksumHeader = "x-amz-checksum-sha256";
const withChecksum = { "x-amz-checksum-mode": "ENABLED" };

/** What saves and restores need, on any S3 with versioning, conditional writes and SHA-256 checksums. */
export function createS3FileStore(options: S3Options, currentKeys?: () => Promise<AccessKeys>): FileStore {
  return createFileStoreOver(createS3Requests(options, currentKeys));
}

export function createFileStoreOver(s3: S3Requests): FileStore {
  const { uploadParts, abortUpload } = createPartUploads(s3);

  /** With the checksum as the store tells it: of the whole, or of the parts' checksums. */
  async function facts(key: string, version: string | undefined) {
    const request = { method: "HEAD", key, headers: withChecksum, ...versionQuery(version) } as const;
    const answer = await s3.expect(request, 200, 400, 404);
    if (answer.status !== 200) return requireAbsence(key, version);
    const sizeBytes = Number(answer.header("content-length") ?? Number.NaN);
    if (!Number.isSafeInteger(sizeBytes))
      throw new ReplError("unavailable", `HEAD ${key}: the object store does not say how big it is`);
    return { ...storedOf(`HEAD ${key}`, answer, version), sizeBytes, checksum: answer.header(checksumHeader) };
  }

  /** A HEAD has no body that could say whose 404 it is, so a GET of one byte is asked, which has. */
  async function requireAbsence(key: string, version: string | undefined): Promise<undefined> {
    const request = { method: "GET", key, headers: { range: "bytes=0-0" }, ...versionQuery(version) } as const;
    const { status, text } = await s3.ask(request);
    if (status >= 200 && status < 300)
      throw new ReplError("unavailable", `HEAD ${key}: the object store says there is nothing, and reads it`);
    const refusal = refusalOf(status, text);
    if (!isAbsence(refusal)) throw errorOf(`GET ${key}`, refusal);
  }

  /** A store that kept other bytes, or that cannot say which it kept, has not saved them. */
  async function requireKept(key: string, version: string, claimed: string | undefined, wanted: string): Promise<void> {
    const checksum = claimed ?? (await facts(key, version))?.checksum;
    if (checksum === wanted) return;
    throw new ReplError(
      "unavailable",
      `${key}: the store's checksum is ${checksum ?? "missing"}, not that of what was sent`,
    );
  }

  /** The copy of a file stored in parts may be told by its parts again, and is then as good as what it was copied from. */
  async function requireSameParts(from: string, fromVersion: string | undefined, to: string, version: string) {
    const [source, copied] = await Promise.all([facts(from, fromVersion), facts(to, version)]);
    if (source?.checksum && source.checksum === copied?.checksum && source.sizeBytes === copied.sizeBytes) return;
    throw new ReplError(
      "unavailable",
      `copy ${from}: the copy's checksum is ${copied?.checksum ?? "missing"}, that of its source ${source?.checksum ?? "missing"}`,
    );
  }

  return {
    async putText(key, text, condition) {
      const digest = createHash("sha256").update(text).digest();
      const checksum = digest.toString("base64");
      const headers = {
        "content-type": "application/json",
        [checksumHeader]: checksum,
        ...conditionHeaders(condition),
      };
      const request = { method: "PUT", key, headers, body: text, sha256: digest.toString("hex") } as const;
      const answer = await s3.expect(request, 200).catch((error: unknown) => {
        // Nothing can match where nothing is.
        if (error instanceof ReplError && error.code === "not_found" && condition && "ifMatch" in condition)
          throw new ReplError("conflict", `PUT ${key}: removed by somebody else`, { cause: error });
        throw error;
      });
      const stored = storedOf(`PUT ${key}`, answer);
      const kept = answer.header(checksumHeader);
      if (kept !== undefined) await requireKept(key, stored.version, kept, checksum);
      return stored;
    },

    async putFile(key, body, sha256) {
      const checksum = base64Of(sha256);
      const request = { method: "PUT", key, headers: { [checksumHeader]: checksum }, body, sha256 } as const;
      const answer = await s3.expect(request, 200);
      const stored = storedOf(`PUT ${key}`, answer);
      await requireKept(key, stored.version, answer.header(checksumHeader), checksum);
      return stored;
    },

    async putParts(key, parts) {
      const headers = { "x-amz-checksum-algorithm": "SHA256" };
      const { text } = await s3.expect({ method: "POST", key, query: { uploads: "" }, headers }, 200);
      requireDocument(`POST ${key}`, text, "InitiateMultipartUploadResult");
      const upload = textOf(text, "UploadId");
      if (!upload) throw new ReplError("unavailable", `${key}: the store began no upload in parts`);
      try {
        const { stored, claimed, checksum } = await uploadParts(key, upload, parts);
        await requireKept(key, stored.version, claimed, checksum);
        return stored;
      } catch (error) {
        await abortUpload(key, upload);
        throw error;
      }
    },

    async getText(key, version) {
      const what = `GET ${key}`;
      const answer = await s3.ask({ method: "GET", key, headers: withChecksum, ...versionQuery(version) });
      const { status, text } = answer;
      if (status !== 200) return absentOr(what, status, text);
      const stored = storedOf(what, answer, version);
      const checksum = answer.header(checksumHeader);
      if (checksum && !isOfParts(checksum) && checksum !== createHash("sha256").update(text).digest("base64"))
        throw new ReplError("unavailable", `${what}: what came is not what the store says it keeps`);
      return { ...stored, text };
    },

    async head(key, version): Promise<ObjectFacts | undefined> {
      const found = await facts(key, version);
      if (!found) return undefined;
      const { checksum, ...known } = found;
      return checksum && !isOfParts(checksum) ? { ...known, sha256: hexOf(checksum) } : known;
    },

    async getStream(key, version) {
      const what = `GET ${key}`;
      const answer = await s3.begin({ method: "GET", key, ...versionQuery(version) });
      if (answer.status !== 200) return absentOr(what, answer.status, await textOfRefusal(what, answer));
      try {
        versionOf(what, answer, version);
      } catch (error) {
        await answer.dump().catch(() => {});
        throw error;
      }
      return bodyOf(what, answer.body);
    },

    async copy(fromKey, toKey, { version, sha256 } = {}) {
      const what = `copy ${fromKey}`;
      const source = s3.pathOf(fromKey) + (version === undefined ? "" : `?versionId=${encodeURIComponent(version)}`);
      const request = { method: "PUT", key: toKey, headers: { "x-amz-copy-source": source } } as const;
      const answer = await s3.expect(request, 200);
      requireDocument(what, answer.text, "CopyObjectResult");
      const stored = { etag: textOf(answer.text, "ETag") ?? "", version: versionOf(what, answer) };
      if (sha256 === undefined) return stored;
      const claimed = textOf(answer.text, "ChecksumSHA256") ?? (await facts(toKey, stored.version))?.checksum;
      const copiedVersion = version ?? answer.header("x-amz-copy-source-version-id");
      if (claimed && isOfParts(claimed)) await requireSameParts(fromKey, copiedVersion, toKey, stored.version);
      else await requireKept(toKey, stored.version, claimed ?? "missing", base64Of(sha256));
      return stored;
    },

    remove: (keys) =>
      deleteObjects(
        s3,
        keys.map((key) => ({ key })),
      ),
  };
}

function createPartUploads(s3: S3Requests) {
  async function uploadPart(key: string, upload: string, number: number, { bytes, sha256 }: FilePart) {
    const checksum = base64Of(sha256);
    const query = { partNumber: String(number), uploadId: upload };
    const headers = { [checksumHeader]: checksum };
    const answer = await s3.expect({ method: "PUT", key, query, headers, body: bytes, sha256 }, 200);
    const [etag, kept] = [answer.header("etag"), answer.header(checksumHeader)];
    if (etag === undefined || kept !== checksum)
      throw new ReplError(
        "unavailable",
        `${key}: the store's checksum of part ${number} is ${kept ?? "missing"}, not that of what was sent`,
      );
    return {
      digest: Buffer.from(sha256, "hex"),
      xml: `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag><ChecksumSHA256>${checksum}</ChecksumSHA256></Part>`,
    };
  }

  return {
    /** What the store says of the whole (if it does), and what it has to say. */
    async uploadParts(key: string, upload: string, parts: AsyncIterable<FilePart>) {
      const sent: ReturnType<typeof uploadPart>[] = [];
      for await (const part of parts) {
        const sending = uploadPart(key, upload, sent.length + 1, part);
        sending.catch(() => {});
        sent.push(sending);
        await sent[sent.length - 1 - concurrentParts];
      }
      const uploaded = await Promise.all(sent);
      const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${uploaded.map(({ xml }) => xml).join("")}</CompleteMultipartUpload>`;
      const sha256 = createHash("sha256").update(body).digest("hex");
      const headers = { "content-type": "application/xml" };
      const request = { method: "POST", key, query: { uploadId: upload }, headers, body, sha256 } as const;
      const answer = await s3.expect(request, 200);
      const what = `${key}: putting its parts together`;
      requireDocument(what, answer.text, "CompleteMultipartUploadResult");
      const stored: StoredObject = { etag: textOf(answer.text, "ETag") ?? "", version: versionOf(what, answer) };
      return {
        stored,
        claimed: textOf(answer.text, "ChecksumSHA256"),
        checksum: checksumOfParts(uploaded.map(({ digest }) => digest)),
      };
    },

    /** As well as it can be: what stays is cleaned up by the bucket's lifecycle rule. */
    async abortUpload(key: string, upload: string): Promise<void> {
      await s3.ask({ method: "DELETE", key, query: { uploadId: upload } }).catch(() => {});
    },
  };
}

/** As S3 makes it. */
function checksumOfParts(digests: readonly Buffer[]): string {
  return `${createHash("sha256").update(Buffer.concat(digests)).digest("base64")}-${digests.length}`;
}

/** Such a checksum is made of its parts' checksums, and says nothing of the whole. */
function isOfParts(checksum: string): boolean {
  return /-\d+$/.test(checksum);
}

function absentOr(what: string, status: number, text: string): undefined {
  const refusal = refusalOf(status, text);
  if (!isAbsence(refusal)) throw errorOf(what, refusal);
}

async function textOfRefusal(what: string, answer: { text(): Promise<string> }): Promise<string> {
  return answer.text().catch((error: unknown) => {
    throw brokenOff(what, error);
  });
}

async function* bodyOf(what: string, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw brokenOff(what, error);
  }
}

function versionQuery(version: string | undefined) {
  return version === undefined ? {} : { query: { versionId: version } };
}

function conditionHeaders(condition: PutCondition | undefined): Record<string, string> {
  if (!condition) return {};
  return "ifMatch" in condition ? { "if-match": condition.ifMatch } : { "if-none-match": "*" };
}

function hexOf(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}

function base64Of(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}
