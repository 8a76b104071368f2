import { ReplError } from "../domain/errors.ts";
import type { ListedVersion } from "../domain/ports.ts";
import { elementsOf, requireDocument, textOf } from "./s3-answers.ts";
import type { S3Requests } from "./s3-requests.ts";

/** Keys under a prefix and, with a delimiter, the prefixes that stand for all keys below them. */
export async function* listPages(
  s3: S3Requests,
  prefix: string,
  delimiter?: "/",
): AsyncGenerator<{ readonly keys: string[]; readonly prefixes: string[] }> {
  let token: string | undefined;
  do {
    const query = {
      "list-type": "2",
      prefix,
      ...(delimiter ? { delimiter } : {}),
      ...(token === undefined ? {} : { "continuation-token": token }),
    };
    const page = await readPage(s3, "ListBucketResult", prefix, query);
    yield {
      keys: elementsOf(page.text, "Contents").map((entry) => keyIn(prefix, entry)),
      prefixes: elementsOf(page.text, "CommonPrefixes").map((entry) => textOf(entry, "Prefix") ?? ""),
    };
    token = page.isTruncated ? nextOf(prefix, page.text, "NextContinuationToken") : undefined;
  } while (token !== undefined);
}

export async function* versionPages(s3: S3Requests, prefix: string): AsyncGenerator<readonly ListedVersion[]> {
  let marker: Record<string, string> | undefined = {};
  while (marker) {
    const page: Page = await readPage(s3, "ListVersionsResult", prefix, { versions: "", prefix, ...marker });
    yield [
      ...elementsOf(page.text, "Version").map((entry) => versionIn(prefix, entry, false)),
      ...elementsOf(page.text, "DeleteMarker").map((entry) => versionIn(prefix, entry, true)),
    ];
    const versionMarker = textOf(page.text, "NextVersionIdMarker");
    marker = page.isTruncated
      ? {
          "key-marker": nextOf(prefix, page.text, "NextKeyMarker"),
          ...(versionMarker ? { "version-id-marker": versionMarker } : {}),
        }
      : undefined;
  }
}

interface Page {
  readonly text: string;
  readonly isTruncated: boolean;
}

/** A list that does not say of what it is, and whether it is all, could be anybody's. */
async function readPage(
  s3: S3Requests,
  root: string,
  prefix: string,
  query: Readonly<Record<string, string>>,
): Promise<Page> {
  const what = `list ${prefix}`;
  const { text } = await s3.expect({ method: "GET", key: "", query }, 200);
  requireDocument(what, text, root);
  // Entries have elements of these names, too.
  const own = text.replace(/<(Contents|CommonPrefixes|Version|DeleteMarker)>.*?<\/\1>/gs, "");
  const [name, about, truncated] = ["Name", "Prefix", "IsTruncated"].map((element) => textOf(own, element));
  if (name !== s3.bucket || (about ?? "") !== prefix || (truncated !== "true" && truncated !== "false"))
    throw new ReplError(
      "unavailable",
      `${what}: the object store answers about ${JSON.stringify(about ?? "")} in the bucket ${name}`,
    );
  return { text, isTruncated: truncated === "true" };
}

function nextOf(prefix: string, text: string, element: string): string {
  const next = textOf(text, element);
  if (next) return next;
  throw new ReplError("unavailable", `list ${prefix}: the object store has more, and does not say from where on`);
}

function keyIn(prefix: string, entry: string): string {
  const key = textOf(entry, "Key");
  if (key) return key;
  throw new ReplError("unavailable", `list ${prefix}: the object store names an object without a key`);
}

function versionIn(prefix: string, entry: string, isMarker: boolean): ListedVersion {
  const modifiedAt = new Date(textOf(entry, "LastModified") ?? Number.NaN);
  return {
    key: keyIn(prefix, entry),
    version: textOf(entry, "VersionId") ?? "null",
    // What cannot be dated is taken for new, and so for what is still needed.
    modifiedAt: Number.isNaN(modifiedAt.getTime()) ? new Date() : modifiedAt,
    isMarker,
  };
}
