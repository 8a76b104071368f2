import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { ReplError } from "../../domain/errors.ts";
import { createFakeObjectStore } from "./object-store.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** What goes out in place of an honest answer; "break" breaks off in the middle of it. */
export type Lie = (honest: Answer) => Answer | "break";

interface Asked {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const bucket = "devex";
const checksumHeader = "x-amz-checksum-sha256";
const pageSize = 1000;

/** The bucket in memory, behind the protocol of S3 as versitygw speaks it. Looks at no signature. */
export async function startS3Server() {
  let fake = createFakeObjectStore();
  let exists = true;
  let lieTo: ((asked: Asked) => Lie | undefined) | undefined;
  let copiesKeepParts = false;
  const ignored = new Set<string>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const ofParts = new Map<string, string>();

  async function answerTo(asked: Asked): Promise<Answer> {
    const { method, key, query } = asked;
    if (!exists && !(method === "PUT" && key === "" && !query.has("versioning"))) return refused(404, "NoSuchBucket");
    if (key === "") return answerForBucket(asked);
    if (query.has("uploads") || query.has("uploadId")) return answerForUpload(asked);
    if (method === "PUT") return asked.headers["x-amz-copy-source"] === undefined ? put(asked) : copy(asked);
    return get(asked);
  }

  async function answerForBucket({ method, query, body }: Asked): Promise<Answer> {
    if (method === "PUT") exists = true;
    if (method === "PUT") return done({}, "");
    if (query.has("delete")) return remove(body.toString());
    const prefix = query.get("prefix") ?? "";
    const head = `<Name>${bucket}</Name><Prefix>${escaped(prefix)}</Prefix>`;
    return query.has("versions") ? listVersions(prefix, head) : list(prefix, head, query);
  }

  async function list(prefix: string, head: string, query: URLSearchParams): Promise<Answer> {
    const below = (key: string) => key.slice(prefix.length);
    const isFolded = (key: string) => query.has("delimiter") && below(key).includes("/");
    const keys = await fake.store.list(prefix, { unproven: true });
    const names = new Set(keys.map((key) => (isFolded(key) ? `${prefix}${below(key).split("/")[0]}/` : key)));
    const left = [...names].filter((name) => name > (query.get("continuation-token") ?? ""));
    const page = left.slice(0, Number(query.get("max-keys") ?? pageSize));
    const entries = page.map((name) =>
      keys.includes(name)
        ? `<Contents><Key>${escaped(name)}</Key></Contents>`
        : `<CommonPrefixes><Prefix>${escaped(name)}</Prefix></CommonPrefixes>`,
    );
    const isTruncated = page.length < left.length;
    const next = isTruncated ? `<NextContinuationToken>${escaped(page.at(-1) ?? "")}</NextContinuationToken>` : "";
    const own = `${head}${next}<IsTruncated>${isTruncated}</IsTruncated>`;
    return document("ListBucketResult", own + entries.join(""));
  }

  async function listVersions(prefix: string, head: string): Promise<Answer> {
    const entries: string[] = [];
    if (fake.allKeys().some((key) => key.startsWith(prefix)))
      for await (const page of fake.store.listVersions(prefix))
        for (const { key, version, modifiedAt, isMarker } of page) {
          const kind = isMarker ? "DeleteMarker" : "Version";
          entries.push(
            `<${kind}><Key>${escaped(key)}</Key><VersionId>${version}</VersionId><LastModified>${modifiedAt.toISOString()}</LastModified></${kind}>`,
          );
        }
    return document("ListVersionsResult", `${head}<IsTruncated>false</IsTruncated>${entries.join("")}`);
  }

  async function remove(text: string): Promise<Answer> {
    const objects = [...text.matchAll(/<Object><Key>(.*?)<\/Key>(?:<VersionId>(.*?)<\/VersionId>)?<\/Object>/gs)];
    for (const [, key = "", version] of objects) {
      if (version === undefined) await fake.store.remove([unescaped(key)]);
      else await fake.store.removeVersions([{ key: unescaped(key), version }]);
    }
    return document("DeleteResult", objects.map(([, key]) => `<Deleted><Key>${key}</Key></Deleted>`).join(""));
  }

  async function put({ key, headers, body }: Asked): Promise<Answer> {
    const sha256 = sha256Of(body);
    const wanted = headers[checksumHeader];
    if (wanted !== undefined && wanted !== sha256.toString("base64")) return refused(400, "BadDigest");
    const ifMatch = headers["if-match"];
    const isConditional = ifMatch !== undefined || headers["if-none-match"] !== undefined;
    const condition = ifMatch === undefined ? ({ ifNoneMatch: true } as const) : { ifMatch };
    if (ifMatch !== undefined && !(await fake.store.head(key))) return refused(404, "NoSuchKey");
    const { etag, version } = isConditional
      ? await fake.store.putText(key, body.toString(), condition)
      : await putWhole(key, body);
    return done({ etag, "x-amz-version-id": version, [checksumHeader]: sha256.toString("base64") }, "");
  }

  const putWhole = (key: string, body: Buffer) => fake.store.putFile(key, body, sha256Of(body).toString("hex"));

  async function copy({ key, headers }: Asked): Promise<Answer> {
    const [source = "", version] = String(headers["x-amz-copy-source"]).split("?versionId=");
    const from = decodeURIComponent(source).slice(bucket.length + 2);
    const found = await fake.store.head(from, version && decodeURIComponent(version));
    if (!found) return refused(404, "NoSuchKey");
    const parts = ofParts.get(found.version);
    const copied =
      parts === undefined || copiesKeepParts
        ? await fake.store.copy(from, key, { version: found.version })
        : await putWhole(key, await buffer((await fake.store.getStream(from, found.version)) ?? Readable.from([])));
    if (parts !== undefined && copiesKeepParts) ofParts.set(copied.version, parts);
    const checksum = ofParts.get(copied.version) ?? base64Of((await fake.store.head(key, copied.version))?.sha256);
    const claim = checksum === undefined ? "" : `<ChecksumSHA256>${checksum}</ChecksumSHA256>`;
    return document("CopyObjectResult", `<ETag>&#34;${copied.etag}&#34;</ETag>${claim}`, {
      "x-amz-version-id": copied.version,
    });
  }

  async function get({ method, key, query, headers }: Asked): Promise<Answer> {
    const version = query.get("versionId") ?? undefined;
    if (version?.startsWith("no-such")) return refused(400, "InvalidArgument", "Invalid version id specified");
    const found = await fake.store.head(key, version);
    const stream = found && (await fake.store.getStream(key, found.version));
    if (!found || !stream) return refused(404, version === undefined ? "NoSuchKey" : "NoSuchVersion");
    const whole = await buffer(stream);
    const [, last] = /^bytes=0-(\d+)$/.exec(headers.range ?? "") ?? [];
    const body = last === undefined ? whole : whole.subarray(0, Number(last) + 1);
    const checksum = ofParts.get(found.version) ?? base64Of(found.sha256);
    const known = last === undefined && headers["x-amz-checksum-mode"] === "ENABLED" && checksum !== undefined;
    return {
      status: last === undefined ? 200 : 206,
      headers: {
        etag: found.etag,
        "x-amz-version-id": found.version,
        ...(known ? { [checksumHeader]: checksum } : {}),
        ...(method === "HEAD" ? { "content-length": String(found.sizeBytes) } : {}),
      },
      body: method === "HEAD" ? "" : body,
    };
  }

  async function answerForUpload({ method, key, query, headers, body }: Asked): Promise<Answer> {
    const id = query.get("uploadId") ?? `upload-${uploads.size}`;
    if (query.has("uploads")) {
      uploads.set(id, new Map());
      return document("InitiateMultipartUploadResult", `<UploadId>${id}</UploadId>`);
    }
    const parts = uploads.get(id);
    if (!parts) return refused(404, "NoSuchUpload");
    if (method === "PUT") {
      const checksum = sha256Of(body).toString("base64");
      if (headers[checksumHeader] !== checksum) return refused(400, "BadDigest");
      parts.set(Number(query.get("partNumber")), body);
      return done({ etag: `"${parts.size}"`, [checksumHeader]: checksum }, "");
    }
    uploads.delete(id);
    if (method === "DELETE") return done({}, "");
    const ordered = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    const stored = await fake.store.putParts(
      key,
      (async function* () {
        for (const bytes of ordered) yield { bytes, sha256: sha256Of(bytes).toString("hex") };
      })(),
    );
    const checksum = `${sha256Of(Buffer.concat(ordered.map(sha256Of))).toString("base64")}-${ordered.length}`;
    ofParts.set(stored.version, checksum);
    return document(
      "CompleteMultipartUploadResult",
      `<ETag>&#34;${stored.etag}&#34;</ETag><ChecksumSHA256>${checksum}</ChecksumSHA256>`,
      { "x-amz-version-id": stored.version },
    );
  }

  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? "", "http://store");
      const key = decodeURIComponent(url.pathname.slice(bucket.length + 2));
      const { method = "" } = request;
      const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !ignored.has(name)));
      const asked = { method, key, query: url.searchParams, headers, body: await buffer(request) };
      const honest = await answerTo(asked).catch((error: unknown) =>
        error instanceof ReplError && error.code === "conflict"
          ? refused(412, "PreconditionFailed")
          : refused(500, "InternalError"),
      );
      const sent = lieTo?.(asked)?.(honest) ?? honest;
      const { status, headers: fields, body } = sent === "break" ? honest : sent;
      const length = Buffer.byteLength(body);
      response.writeHead(status, { "content-length": String(length), ...fields });
      const shown = method === "HEAD" ? "" : body;
      if (sent === "break") {
        if (shown.length > 0) response.write(shown.slice(0, length / 2));
        setImmediate(() => response.destroy());
      } else response.end(shown);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    options: {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: "us-east-1",
      bucket,
      accessKey: "AK",
      secretKey: "SK",
    },
    /** Every answer from now on is a lie where this says so. */
    lieWhen(rule: typeof lieTo) {
      lieTo = rule;
    },
    /** As after a disk that is not mounted: the bucket is there, and empty. */
    loseEverything() {
      fake = createFakeObjectStore({ isNew: true });
    },
    loseBucket() {
      exists = false;
    },
    hasBucket: () => exists,
    uploadsUnderWay: () => uploads.size,
    ignoreHeader(name: string) {
      ignored.add(name);
    },
    keepPartsInCopies() {
      copiesKeepParts = true;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function done(headers: Answer["headers"], body: string): Answer {
  return { status: 200, headers, body };
}

function document(root: string, inside: string, headers: Answer["headers"] = {}): Answer {
  return done({ "content-type": "application/xml", ...headers }, `<?xml version="1.0"?>\n<${root}>${inside}</${root}>`);
}

export function refused(status: number, code: string, message = "What the store says."): Answer {
  const body = `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body };
}

const sha256Of = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
const base64Of = (hex: string | undefined) =>
  hex === undefined ? undefined : Buffer.from(hex, "hex").toString("base64");
const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const unescaped = (text: string) => text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
